/* SPDX-License-Identifier: Apache-2.0 */
/*
 * http2_server.c - fuzz: any bytes as frames of an HTTP/2 client, behind an honest preface. The first byte
 * says how they are cut. Each request that the callee sees ends once.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "tests/drivers/server_wire.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char preface[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0";

static void answer(struct server_wire *wire)
{
	server_wire_answer(wire, "hello");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct server_wire wire;
	size_t piece = size > 0 ? 1 + data[0] % 61 : 1;

	memset(&wire, 0, sizeof wire);
	wire.http2 = true;
	wire.on_request = size > 0 && data[0] & 64 ? NULL : answer;
	server_wire_open(&wire);
	server_wire_feed(&wire, preface, sizeof preface);
	for (size_t at = 1; at < size; at += piece)
		server_wire_feed(&wire, data + at, piece < size - at ? piece : size - at);
	server_wire_wait(&wire, 100 * KOLK_S_NS);
	server_wire_end(&wire, KOLK_E_RESET);
	if (wire.requests != wire.ends)
		abort();
	server_wire_close(&wire);
	return 0;
}
