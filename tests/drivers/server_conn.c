/* SPDX-License-Identifier: Apache-2.0 */
/* server_conn.c - connections of the HTTP server for cmocka. */
#include "tests/drivers/server_conn.h"

#include <stdlib.h>
#include <string.h>

#include "tests/kit/cmocka/run.h"

void answer_hello(struct server_wire *wire)
{
	server_wire_answer(wire, "hello");
}

void answer_nothing(struct server_wire *wire)
{
	(void)wire;
}

bool sent(const struct server_wire *wire, const char *text)
{
	return strstr(wire->out, text) != NULL;
}

size_t count_of(const char *text, const char *part)
{
	size_t count = 0;

	for (; (text = strstr(text, part)) != NULL; text += strlen(part))
		count++;
	return count;
}

void expect_log(const struct server_wire *wire, const char *log)
{
	assert_string_equal(wire->log, log);
}

int close_wire(void **state)
{
	struct server_wire *wire = *state;

	server_wire_close(wire);
	free(wire);
	return 0;
}

int open_wire(void **state)
{
	struct server_wire *wire = calloc(1, sizeof *wire);

	server_wire_open(wire);
	wire->on_request = answer_hello;
	*state = wire;
	return 0;
}

void answer_at_end(struct server_wire *wire)
{
	server_wire_answer(wire, "got it");
}

void pause_exchange(struct server_wire *wire)
{
	kolk_http_server_pause(wire->exchange);
}

void give(struct server_wire *wire, const char *text, bool ends)
{
	wire->pulled = text;
	wire->pulled_size = strlen(text);
	wire->pull_ends = ends;
}
