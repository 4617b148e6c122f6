/* SPDX-License-Identifier: Apache-2.0 */
/*
 * origin.h - an origin server on loopback, in a thread of its own, plain or TLS, that behaves as
 * well or as badly as a test requests.
 *
 * It answers line by line: "PING" with "+PONG", everything else with the same line. Or it is a small
 * HTTP server.
 */
#ifndef KOLK_KIT_ORIGIN_H
#define KOLK_KIT_ORIGIN_H

#include <stdint.h>

#include "tests/kit/cert.h"

enum kit_behaviour {
	KIT_ECHO,
	KIT_HTTP,       /* an empty line with a response; requests have no body */
	KIT_SILENT,     /* accepts and reads, never answers */
	KIT_CLOSE,      /* after `after` answers on a connection: FIN (TLS: with close_notify) */
	KIT_RESET,      /* likewise: RST */
	KIT_HALF_CLOSE, /* likewise: end of its own stream, still reads */
	KIT_CUT,        /* likewise: FIN without close_notify */
	KIT_JUNK        /* the same: an unsolicited line, 2 ms later */
};

struct kit_origin_options {
	const struct kit_cert *cert; /* NULL = plain */
	const char *unix_path;       /* NULL = 127.0.0.1, a port of the system's choice */
	enum kit_behaviour behaviour;
	uint32_t after;
	const char *const *alpn;     /* NULL = none */
	const char *greeting;        /* sent right after the handshake; NULL = none; TLS only */
};

struct kit_origin;

struct kit_origin *kit_origin_open(const struct kit_origin_options *options);
void kit_origin_close(struct kit_origin *origin);
uint16_t kit_origin_port(const struct kit_origin *origin);
/* Where the newest connection came from; 0 = not TCP. */
uint32_t kit_origin_last_port(const struct kit_origin *origin);
/* Every connection that is open now: FIN, or RST. Returns when it is done. */
void kit_origin_hang_up(struct kit_origin *origin, bool reset);
void kit_origin_behave(struct kit_origin *origin, enum kit_behaviour behaviour, uint32_t after);

struct kit_origin_counts {
	uint64_t accepted, answered, handshakes, resumed, failed_handshakes, ended;
	uint64_t unsolicited; /* unsolicited lines, sent */
	uint32_t open;
};
struct kit_origin_counts kit_origin_counts(const struct kit_origin *origin);

#endif
