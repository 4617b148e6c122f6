/* SPDX-License-Identifier: Apache-2.0 */
/* admin_clients.h - what admin.c and admin_clients.c share: the server's thread uses it. */
#ifndef KOLK_OPS_ADMIN_CLIENTS_H
#define KOLK_OPS_ADMIN_CLIENTS_H

#include <microhttpd.h>
#include <pthread.h>

#include "tools/ops/admin.h"
#include "tools/ops/listen.h"

enum state {
	READING, /* the head of its request is on its way */
	SERVED,  /* by the library, to which the socket belongs now */
	REFUSED, /* it got an error; its input is drained, so that it can read the error */
};

struct client {
	int fd; /* -1 = this entry is free */
	enum state state;
	bool shut_down;
	uint64_t began_ns;
};

struct kolk_admin {
	struct kolk__admin_server server;
	struct kolk__listener listener;
	struct MHD_Daemon *daemon;
	struct client *clients;
	uint32_t clients_max, client_count, body_max;
	uint64_t request_timeout_ns;
	int wake;      /* eventfd: the thread must end */
	int heads;     /* epoll: of clients that are READING or REFUSED, each arrival once */
	pthread_t thread;
	bool running;
};

/* A socket that was accepted: a client, or closed when there is no room for one. */
void kolk__client_add(struct kolk_admin *admin, int fd);
/* The library has a socket, or has closed it. */
void kolk__client_notify(void *user, struct MHD_Connection *connection, void **context,
			 enum MHD_ConnectionNotificationCode what);
/* Heads that have come: to the library, or refused. */
void kolk__clients_read_heads(struct kolk_admin *admin);
void kolk__clients_close_slow(struct kolk_admin *admin);

#endif
