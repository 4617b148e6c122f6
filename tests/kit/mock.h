/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mock.h - a server on loopback that does what a test tells it, byte by byte, however wrong: a
 * function plays each connection, in a thread of its own, with the functions below.
 *
 * Each of them ends early, with false, when the connection has ended or kit_mock_close was called.
 * When the function of the test returns, the connection ends gracefully (close_notify, FIN) unless
 * it has ended already.
 */
#ifndef KOLK_KIT_MOCK_H
#define KOLK_KIT_MOCK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/base/atomic.h"
#include "tests/kit/cert.h"

struct kit_mock;
struct kit_mock_conn;
typedef void kit_mock_fn(struct kit_mock_conn *conn, void *user);

struct kit_mock_options {
	kit_mock_fn *play;
	void *user;
	const struct kit_cert *cert;   /* NULL = plain */
	bool plain_first;              /* with cert: until kit_mock_start_tls */
	const char *const *alpn;       /* NULL-terminated, borrowed; NULL = none */
	const char *unix_path;         /* NULL = 127.0.0.1, a port of the system's choice */
	bool any_address;              /* with the same port at all addresses of IPv4 */
	uint32_t receive_bytes;        /* SO_RCVBUF: a small window to be filled; 0 = the system's */
};

struct kit_mock *kit_mock_open(const struct kit_mock_options *options);
/* Ends every connection; all functions have returned then. NULL = nothing. */
void kit_mock_close(struct kit_mock *mock);
/* "127.0.0.1:PORT" or "unix:PATH", for kolk_pool_options. */
const char *kit_mock_address(const struct kit_mock *mock);
uint16_t kit_mock_port(const struct kit_mock *mock);

struct kit_mock_counts {
	uint64_t accepted, handshakes, failed_handshakes, bytes_in, bytes_out;
	uint64_t executions; /* calls of kit_mock_execute */
	uint32_t open;
};
struct kit_mock_counts kit_mock_counts(struct kit_mock *mock);
/* How often a request was executed, and the most that any was. */
uint32_t kit_mock_executions(struct kit_mock *mock, uint64_t id);
uint32_t kit_mock_executions_max(struct kit_mock *mock);

/* ---- the words, for the function that plays */

struct kit_mock *kit_mock_of(struct kit_mock_conn *conn);
/* Which connection it is, from 0: others for the first than for the rest. */
uint32_t kit_mock_number(const struct kit_mock_conn *conn);
/* The address of IPv4 that it came to, 127.0.0.1 = 0x7f000001; 0 = it is of another family. */
uint32_t kit_mock_here(const struct kit_mock_conn *conn);

/* Read until the delimiter, which is the end of text then, NUL-terminated. False = not within ms,
 * or more than size - 1 bytes, or the end came first; what has come is in text, which stays as it
 * was if nothing has. */
bool kit_mock_read_until(struct kit_mock_conn *conn, const char *delimiter, char *text, size_t size,
			 int ms);
/* Exactly so many bytes; data NULL = dropped. */
bool kit_mock_read(struct kit_mock_conn *conn, void *data, size_t size, int ms);
/* Whatever comes, at least a byte. 0 = nothing within ms, or the end. */
size_t kit_mock_read_some(struct kit_mock_conn *conn, void *data, size_t size, int ms);
/* Read and drop until the peer ends the connection; false = it did not within ms. */
bool kit_mock_drain(struct kit_mock_conn *conn, int ms);

/* A word has seen its end. */
bool kit_mock_has_ended(const struct kit_mock_conn *conn);

bool kit_mock_send(struct kit_mock_conn *conn, const void *data, size_t size);
bool kit_mock_say(struct kit_mock_conn *conn, const char *text);
/* piece bytes at a time (each a segment and TLS record of its own) with a pause between them. */
bool kit_mock_send_slowly(struct kit_mock_conn *conn, const void *data, size_t size, size_t piece,
			  uint32_t pause_us);
/* Two segments, cut at byte at. */
bool kit_mock_send_split(struct kit_mock_conn *conn, const void *data, size_t size, size_t at,
			 uint32_t pause_us);
/* Hold back what is sent (TCP_CORK: 200 ms at most); it goes in as few segments as can be. */
bool kit_mock_hold(struct kit_mock_conn *conn, bool hold);
/* Neither reads nor writes: the peer's window fills. False = the mock closes. */
bool kit_mock_wait(struct kit_mock_conn *conn, uint32_t us);
/* TLS from here; what was read in plain text and not taken stays, as a bad server's would. */
bool kit_mock_start_tls(struct kit_mock_conn *conn);
/* A record of this content type (RFC 8446, 5.1), whatever mbedTLS thinks of it. */
bool kit_mock_send_record(struct kit_mock_conn *conn, int type, const void *data, size_t size);
/* Each record from now on goes in two segments, cut at this byte; when the first one has arrived
 * *half is 1, and the second goes as soon as *gate is not 0 (5 s at most). 0 = whole
 * again. */
void kit_mock_cut_records(struct kit_mock_conn *conn, size_t at, const kolk__atomic_u32 *gate,
			  kolk__atomic_u32 *half);
/* Wait until the peer's window is full of unread data in its kernel. TCP. */
void kit_mock_arrive(struct kit_mock_conn *conn);
/* Bytes that were sent so far, records as they are on the wire. */
uint64_t kit_mock_wire_out(const struct kit_mock_conn *conn);
/* The protocol that was agreed on, or NULL. */
const char *kit_mock_alpn(const struct kit_mock_conn *conn);
/* The request with this id was executed. */
void kit_mock_execute(struct kit_mock_conn *conn, uint64_t id);

/* Endings. After half_close it still reads. */
void kit_mock_notify(struct kit_mock_conn *conn);     /* close_notify alone */
void kit_mock_half_close(struct kit_mock_conn *conn); /* close_notify, FIN of its own direction */
void kit_mock_cut(struct kit_mock_conn *conn);        /* FIN without close_notify */
void kit_mock_reset(struct kit_mock_conn *conn);      /* RST */

/* ---- a play that is a table: after each request the same answer */

enum kit_mock_end {
	KIT_MOCK_POLITE,
	KIT_MOCK_HALF_CLOSE, /* and reads until the peer ends */
	KIT_MOCK_CUT,
	KIT_MOCK_RESET,
	KIT_MOCK_STAY        /* silent until the peer ends */
};

struct kit_mock_answer {
	const char *until;     /* a request ends with it; NULL = do not wait for one */
	const void *data;
	size_t size;
	size_t split;          /* 0 = in one piece, else two, cut here */
	size_t piece;          /* with split 0: bytes at a time; 0 = all */
	uint32_t pause_us;     /* between pieces */
	uint32_t delay_us;     /* before the answer */
	uint32_t times;        /* requests; 0 = for ever */
	enum kit_mock_end end; /* after the last */
};
void kit_mock_answer(struct kit_mock_conn *conn, const struct kit_mock_answer *answer);
/* The same as a kit_mock_fn; user = struct kit_mock_answer. */
void kit_mock_play_answer(struct kit_mock_conn *conn, void *user);

#endif
