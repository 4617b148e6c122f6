/* SPDX-License-Identifier: Apache-2.0 */
/* load.c - clients that ask without a pause. See load.h. */
#include "tests/gateway/program/load.h"

#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static void ask_once(struct load_client *client, int fd)
{
	char answer[PROGRAM_TEXT], *digit;
	bool whole = client_send(fd, "GET /x HTTP/1.1\r\nHost: a\r\n\r\n") &&
		     client_read(fd, "\r\n\r\nweb", answer);

	digit = whole ? strstr(answer, "\r\n\r\nweb") + 7 : answer;
	if (whole && *digit == '\0')
		whole = recv(fd, digit, 1, 0) == 1;
	if (whole && *digit >= '0' && *digit < '0' + LOAD_SERVERS) {
		(void)kolk__add_relaxed(&client->load->answers[*digit - '0'], 1);
	} else {
		client->lost++;
		tap_note("lost: %s", answer);
	}
}

static void *ask_on(void *user)
{
	struct load_client *client = user;
	int fd = program_connect(client->load->program);

	while (kolk__load_relaxed(&client->load->stop) == 0 && client->lost == 0)
		ask_once(client, fd);
	close(fd);
	return NULL;
}

void load_begin(struct load *load, const struct program *program, uint32_t clients)
{
	memset(load, 0, sizeof *load);
	load->program = program;
	load->count = clients;
	for (uint32_t i = 0; i < clients; i++) {
		load->clients[i].load = load;
		CHECK(pthread_create(&load->clients[i].thread, NULL, ask_on, &load->clients[i]) == 0);
	}
}

uint64_t load_end(struct load *load)
{
	uint64_t lost = 0;

	kolk__store_relaxed(&load->stop, 1);
	for (uint32_t i = 0; i < load->count; i++) {
		pthread_join(load->clients[i].thread, NULL);
		lost += load->clients[i].lost;
	}
	return lost;
}

uint64_t load_answers(const struct load *load, int server)
{
	return kolk__load_relaxed(&load->answers[server]);
}

bool load_answers_more(const struct load *load, const char *digits, uint64_t more)
{
	bool all = true;

	for (; *digits != '\0'; digits++) {
		const int server = *digits - '0';
		const uint64_t before = load_answers(load, server);

		all &= WITHIN_MS(20000, load_answers(load, server) >= before + more);
	}
	return all;
}
