/* SPDX-License-Identifier: Apache-2.0 */
/*
 * unsolicited.h - a peer that sends what was not asked for, at a moment that the test chooses, and
 * one connection to it, whose lease is used on its loop, on another, or on a thread.
 */
#ifndef KOLK_TESTS_WIRE_UNSOLICITED_H
#define KOLK_TESTS_WIRE_UNSOLICITED_H

#include "core/base/atomic.h"
#include "tests/kit/mock.h"
#include "tests/wire/wire.h"

/* ---- the peer: echoes lines, and sends what a test requests */

enum what {
	TICKETS,     /* TLS 1.3: NewSessionTicket; 1.2: a HelloRequest */
	WARNING,     /* an alert that is no end */
	DATA,        /* an unsolicited line */
	PUSH,        /* the same, and the driver knows it */
	PONG,        /* the answer to a ping that was not sent */
	KEY_UPDATE,  /* TLS 1.3: mbedTLS cannot (docs/limits.md) */
	NOTIFY,      /* close_notify */
	FIN,
	RST
};

struct peer {
	enum what what;
	uint32_t count;      /* how often; 0 = 1 */
	uint32_t size;       /* TICKETS: bytes of each; 0 = 200 */
	size_t cut;          /* the first segment of the last record; 0 = it is not cut */
	kolk__atomic_u32 speak, said; /* the n-th connection, from 1; 1 = half of it has come, 2 = all */
	kolk__atomic_u64 bytes; /* that have come so, on the wire */
	kolk__atomic_u32 gate; /* the other half */
	kolk__atomic_u32 behind; /* right behind the next answer */
	kolk__atomic_u32 pings; /* that came */
};

bool peer_is_tls13(void); /* the version that both speak */

/* ---- the user of the lease */

enum user {
	HOME,    /* the connection's loop */
	LOOP,    /* another loop */
	THREAD,  /* a plain thread, and loops use the pool, too */
	THREADS, /* plain threads alone */
	USERS
};

struct use {
	struct kolk_call call;
	struct kolk_loop *loop; /* NULL = a plain thread */
	struct kolk_key *key;
	struct kolk_acquire acquire;
	struct kolk_io send, recv;
	struct kolk_lease lease;
	char answer[64];
	size_t size;
	kolk__atomic_u32 left;  /* callbacks to come */
	kolk__atomic_u32 submitted; /* both calls were made */
	enum kolk_err err;      /* of the acquire, then the first of send and recv */
};

extern const char use_question[]; /* six bytes */

enum kolk_err use_begin(struct use *use);
/* "hello"; the answer is only read when the gate is open: behind half a record there is none. */
enum kolk_err use_ask(struct use *use, struct peer *peer);
void use_end(struct use *use);
bool use_is_answer(const struct use *use);

/* ---- a fresh connection at home on loop 0, which was not used */

struct unsolicited {
	struct wire wire;
	struct kit_mock *mock;
	struct peer peer;
	enum user user;
	bool plain, accepts_pushes, pings;
	kolk__atomic_u32 heard; /* pushes */
	struct use home, use;
};

void unsolicited_user(struct unsolicited *s, enum user user);
bool unsolicited_open(struct unsolicited *s);
void unsolicited_close(struct unsolicited *s);
/* Replace its connection, twice: from the second one on it streams, when a loop reads. */
struct kolk_lease_info unsolicited_renew(struct unsolicited *s);
/* The same; the number of the connection, which is at home and was not used. */
uint64_t unsolicited_fresh(struct unsolicited *s);
/* Bytes that came and were not read. */
uint64_t unsolicited_unread(const struct unsolicited *s);
/* The home loop has it, but has not decrypted it: the connection is leased. */
bool unsolicited_has_come(struct unsolicited *s);
/* Let the peer send; returns when the first half has left it, and has arrived where a loop
 * reads. */
void unsolicited_speak(struct unsolicited *s, bool idle);
/* A lease; the peer sends while its connection is idle, or after its begin. */
void unsolicited_lease(struct unsolicited *s, bool idle);
/* Whether this combination is tried: all are, or a third of them where --stride asks for little. */
bool unsolicited_is_chosen(void);
/* Connections of its pool that ended for this reason. */
uint64_t unsolicited_ended(const struct unsolicited *s, enum kolk_reason reason);

#endif
