/* SPDX-License-Identifier: Apache-2.0 */
/* dns_server.h - a name server that says of any name what a test wants, over UDP and TCP. */
#ifndef KOLK_TESTS_GATEWAY_PROGRAM_DNS_SERVER_H
#define KOLK_TESTS_GATEWAY_PROGRAM_DNS_SERVER_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "core/base/atomic.h"

enum { DNS_ANSWERS = 512 };
enum dns_code { DNS_OK = 0, DNS_SERVFAIL = 2, DNS_NXDOMAIN = 3 };

struct dns_server {
	int udp, tcp, stop;
	char where[32];          /* "127.0.0.1:PORT" */
	pthread_t thread;
	pthread_mutex_t lock;    /* of what follows up to questions */
	uint32_t count;          /* of answers to A */
	uint32_t a[DNS_ANSWERS]; /* in the order of the network */
	bool loopback6;          /* the answer to AAAA is ::1; else there is none */
	bool mapped6;            /* it is the first of a, mapped into IPv6 */
	enum dns_code code, code6; /* for A, for AAAA */
	uint32_t ttl_s;
	bool silent;
	bool truncates;          /* over UDP */
	bool cname;              /* the addresses are those of another name */
	bool alternates;         /* the last address is one more in every other answer */
	bool odd;                /* in the next one */
	kolk__atomic_u32 questions, by_tcp;
};

bool dns_server_open(struct dns_server *server);
void dns_server_close(struct dns_server *server);
/* A: 127.0.0.N for each character N of digits, for a second; without AAAA. "" = there is no such name. */
void dns_server_say(struct dns_server *server, const char *digits);
/* So many addresses 127.1.0.1 and on, the highest first. */
void dns_server_say_many(struct dns_server *server, uint32_t count);
/* Change something else between these two. */
void dns_server_lock(struct dns_server *server);
void dns_server_unlock(struct dns_server *server);

#endif
