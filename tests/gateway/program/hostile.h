/* SPDX-License-Identifier: Apache-2.0 */
/* hostile.h - a gateway between hostile clients, an honest one, and an upstream that records. */
#ifndef KOLK_TESTS_GATEWAY_HOSTILE_H
#define KOLK_TESTS_GATEWAY_HOSTILE_H

#include "tests/drivers/http1_requests.h"
#include "tests/gateway/program/program.h"
#include "tests/gateway/program/recorder.h"

enum { HOSTILE_CLIENTS = 1000 }; /* their numbers: 0 .. 999 */

struct hostile {
	struct program program;
	struct recorder recorder;
	const struct http1_request_case *rows;
	size_t count;
	uint32_t descriptors; /* of the gateway, before */
	int honest;           /* a client that stays */
};

/* engine: its options; one loop. */
bool hostile_open(struct hostile *hostile, const char *engine);
/* Nothing is left: of streams, descriptors, disorder. */
void hostile_close(struct hostile *hostile);
/* From the address of this number (recorder.h). */
int hostile_connect(const struct hostile *hostile, uint32_t client);
/* Two honest clients, one of them new, get their own answers. */
bool hostile_is_honest(struct hostile *hostile);
/* How far cuts are apart: 1 with --every-cut. */
size_t hostile_stride(void);

#endif
