/* SPDX-License-Identifier: Apache-2.0 */
/* hostile.c - a gateway between hostile clients, an honest one, and an upstream that records. */
#include "tests/gateway/program/hostile.h"

#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/gateway/program/corpus.h"

enum { HONEST = HOSTILE_CLIENTS, NEWCOMER, STRIDE = 7 };

bool hostile_open(struct hostile *hostile, const char *engine)
{
	char pools[256];

	if (!recorder_open(&hostile->recorder))
		return FAILED("there is an upstream");
	snprintf(pools, sizeof pools,
		 "  - {name: up, address: \"%s\", protocol: http, limits: {connections_max: 512, "
		 "dials_max: 64, idle_min: 0, waiters_max: 512}, timeouts: {idle: 1s}}\n",
		 kit_mock_address(hostile->recorder.mock));
	if (!program_start_with(&hostile->program,
				&(struct program_file){
					.engine = engine,
					.pools = pools,
					.routes = "    - {match: {path: /}, pool: up}\n"
						  "    - {pool: up}\n",
					.gateway = CORPUS_BOUNDS }))
		return false;
	hostile->rows = corpus_open(&hostile->count);
	hostile->descriptors = program_descriptors(&hostile->program);
	hostile->honest = hostile_connect(hostile, HONEST);
	return hostile->honest >= 0;
}

void hostile_close(struct hostile *hostile)
{
	struct recorder *recorder = &hostile->recorder;

	close(hostile->honest);
	CHECK(WITHIN_MS(10000, program_descriptors(&hostile->program) <= hostile->descriptors));
	CHECK(program_stop(&hostile->program, 10000));
	corpus_close(hostile->rows);
	recorder_close(recorder); /* nobody writes it any more */
	CHECK(recorder->disorder == 0);
	tap_note("%llu requests upstream", (unsigned long long)recorder->whole);
}

int hostile_connect(const struct hostile *hostile, uint32_t client)
{
	struct sockaddr_in in = { .sin_family = AF_INET };
	const struct timeval patience = { .tv_sec = 15 };
	const int on = 1;
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
	setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof on);
	in.sin_addr.s_addr = htonl(0x7f010000 + client);
	if (bind(fd, (struct sockaddr *)&in, sizeof in) != 0)
		FAILED("a client has its address");
	in.sin_port = htons(hostile->program.port);
	in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (connect(fd, (struct sockaddr *)&in, sizeof in) != 0)
		FAILED("a client connects");
	return fd;
}

static bool ask(int fd, uint32_t client, char text[PROGRAM_TEXT])
{
	char asked[64];

	snprintf(asked, sizeof asked, "\r\nx-asked: 127.1.%u.%u GET /honest\r\n", client / 256,
		 client % 256);
	return client_send(fd, "GET /honest HTTP/1.1\r\nHost: a\r\n\r\n") &&
	       client_read(fd, "\r\n\r\nok", text) && strncmp(text, "HTTP/1.1 200 ", 13) == 0 &&
	       strstr(text, asked) != NULL;
}

bool hostile_is_honest(struct hostile *hostile)
{
	int newcomer = hostile_connect(hostile, NEWCOMER);
	static char text[PROGRAM_TEXT];
	bool honest;

	honest = ask(hostile->honest, HONEST, text) && ask(newcomer, NEWCOMER, text);
	if (!honest)
		tap_note("to an honest client: '%.300s'", text);
	close(newcomer);
	return honest;
}

size_t hostile_stride(void)
{
	return program_options.every_cut ? 1 : STRIDE;
}
