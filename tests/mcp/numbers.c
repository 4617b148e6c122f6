/* SPDX-License-Identifier: Apache-2.0 */
/* numbers.c - GET /numbers: what the fixture counted, and the last cancellations. */
#include "tests/mcp/inside.h"

static const char *const names[MCP_NUMBER_COUNT] = {
#define NAME(name) #name,
	MCP_NUMBERS(NAME)
#undef NAME
};

static json_t *cancels(const struct mcp_fixture *fixture)
{
	uint64_t first = fixture->cancelled > MCP_CANCELS ? fixture->cancelled - MCP_CANCELS : 0;
	json_t *list = json_array();

	for (uint64_t i = first; i < fixture->cancelled; i++) {
		const struct mcp_cancel *one = &fixture->cancels[i % MCP_CANCELS];

		json_array_append_new(list, json_pack("{s:s, s:s, s:I, s:I}", "nonce", one->nonce, "how",
						      one->how, "seen_ns", (json_int_t)one->seen_ns,
						      "after_ns", (json_int_t)one->after_ns));
	}
	return list;
}

static json_t *http(const struct kolk_http_server *server)
{
	struct kolk_http_server_stats stats = KOLK_INIT(kolk_http_server_stats);

	(void)kolk_http_server_stats(server, &stats);
	return json_pack("{s:i, s:i, s:I, s:I, s:I}", "connections", (int)stats.connections, "exchanges",
			 (int)stats.exchanges, "requests", (json_int_t)stats.requests, "requests_http2",
			 (json_int_t)stats.requests_http2, "gone", (json_int_t)stats.gone);
}

void mcp_numbers(struct mcp_exchange *exchange)
{
	struct mcp_fixture *fixture = exchange->fixture;
	json_t *numbers = json_object();

	for (size_t i = 0; i < MCP_NUMBER_COUNT; i++)
		json_object_set_new(numbers, names[i],
				    json_integer((json_int_t)kolk__own(&fixture->numbers[i])));
	json_object_set_new(numbers, "http", http(fixture->server));
	json_object_set_new(numbers, "cancels", cancels(fixture));
	mcp_reply(exchange, &(struct mcp_reply){ .status = 200, .type = "application/json",
						 .text = json_dumps(numbers, JSON_INDENT(1)) });
	json_decref(numbers);
}
