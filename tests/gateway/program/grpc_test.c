/* SPDX-License-Identifier: Apache-2.0 */
/* grpc_test.c - gRPC through the gateway: HTTP/2 on both sides, in front without TLS and with it. */
#include <stdio.h>
#include <string.h>

#include "tests/gateway/program/grpc.h"
#include "tests/gateway/program/program.h"
#include "tests/kit/certs.h"

struct path {
	struct kit_certs certs;
	struct grpc_server server;
	struct program program;
	struct grpc_client client;
	bool tls;
};

static bool begin_with(struct path *path, bool tls, const char *routes)
{
	static const char *const alpn[] = { "h2", NULL };
	struct kolk_tls_options options = KOLK_INIT(kolk_tls_options);
	char pools[256], listener[256] = "", address[64];

	path->tls = tls;
	if (!grpc_server_open(&path->server) || (tls && !CHECK(kit_certs_open(&path->certs))))
		return false;
	snprintf(pools, sizeof pools,
		 "  - {name: grpc, address: \"%s\", protocol: http, http: {version: 2}}\n",
		 kit_mock_address(path->server.mock));
	if (tls)
		snprintf(listener, sizeof listener, ", tls: {certificate_file: %s, key_file: %s}",
			 path->certs.first.pem, path->certs.first.key);
	if (!program_start_with(&path->program, &(struct program_file){ .pools = pools,
									.routes = routes,
									.listener = listener }))
		return false;
	options.server_name = "first.test";
	options.ca_file = path->certs.authority.pem;
	options.alpn = alpn;
	snprintf(address, sizeof address, "127.0.0.1:%u", path->program.port);
	return grpc_client_open(&path->client, address, tls ? &options : NULL);
}

static bool begin(struct path *path, bool tls)
{
	return begin_with(path, tls, "    - {match: {path: /echo}, pool: grpc}\n");
}

static void end(struct path *path)
{
	grpc_client_close(&path->client);
	CHECK(program_stop(&path->program, 10000));
	grpc_server_close(&path->server);
	if (path->tls)
		kit_certs_close(&path->certs);
}

static bool call(struct path *path, struct grpc_call *call)
{
	return grpc_begin(&path->client, call) && grpc_wait(call);
}

static bool has_status(const struct grpc_call *call, const char *status)
{
	bool has = call->err == KOLK_OK && call->status == 200 && !call->broken &&
		   strcmp(call->content_type, "application/grpc") == 0 &&
		   strcmp(call->grpc_status, status) == 0;

	if (!has)
		tap_note("%s: %s, %u, '%s', grpc-status '%s', %u messages%s", call->method,
			 kolk_err_name(call->err), call->status, call->content_type,
			 call->grpc_status, call->received, call->broken ? ", broken" : "");
	return has;
}

/* Messages both ways, then the trailers. */
static bool echoes(struct path *path, struct grpc_call *what, uint32_t messages)
{
	return call(path, what) && has_status(what, "0") && what->received == messages &&
	       !what->head_alone && strcmp(what->grpc_message, "na%C3%AFve 100%25") == 0 &&
	       strcmp(what->binary, "AAEC") == 0;
}

static void expect_echoes(bool tls)
{
	struct grpc_seen seen;
	struct path path;

	MUST(begin(&path, tls));
	CHECK(echoes(&path, &(struct grpc_call){ .method = "Unary", .messages = 1, .size = 20,
						 .timeout = "7S" }, 1));
	seen = grpc_server_seen(&path.server);
	CHECK(strcmp(seen.te, "trailers") == 0);
	CHECK(strcmp(seen.content_type, "application/grpc+proto") == 0);
	CHECK(strcmp(seen.timeout, "7S") == 0);
	CHECK(strcmp(seen.metadata, "/wA") == 0);
	CHECK(echoes(&path, &(struct grpc_call){ .method = "Unary", .messages = 1 }, 1));
	CHECK(echoes(&path, &(struct grpc_call){ .method = "Unary", .messages = 1,
						 .size = 1 << 20 }, 1));
	CHECK(echoes(&path, &(struct grpc_call){ .method = "Unary", .messages = 30,
						 .size = 1000 }, 30));
	CHECK(echoes(&path, &(struct grpc_call){ .method = "Stream", .messages = 1,
						 .size = 50000 }, 5));
	CHECK(echoes(&path, &(struct grpc_call){ .method = "Bidi", .messages = 50, .size = 10,
						 .in_turn = true }, 50));
	CHECK(echoes(&path, &(struct grpc_call){ .method = "Bidi", .messages = 80,
						 .size = 20000 }, 80));
	end(&path);
}

static void test_echoes(void)
{
	expect_echoes(false);
}

static void test_echoes_tls(void)
{
	expect_echoes(true);
}

/* A status without a message: the head ends the stream, else a client of gRPC does not read it. */
static bool is_head_alone(struct path *path, struct grpc_call *what, const char *status)
{
	return call(path, what) && has_status(what, status) && what->head_alone &&
	       !what->has_length && strcmp(what->grpc_message, "enough") == 0;
}

static void test_statuses(void)
{
	struct grpc_call late = { .method = "Late", .messages = 1, .size = 9 };
	struct path path;

	MUST(begin(&path, false));
	CHECK(is_head_alone(&path, &(struct grpc_call){ .method = "None", .messages = 1 }, "5"));
	CHECK(call(&path, &late) && has_status(&late, "13") && late.received == 1);
	/* The answer is there while the client sends, and while it waits. */
	CHECK(is_head_alone(&path, &(struct grpc_call){ .method = "Early", .messages = 1,
							.stays_open = true }, "8"));
	CHECK(is_head_alone(&path, &(struct grpc_call){ .method = "Early", .messages = 100,
							.size = 100000 }, "8"));
	CHECK(echoes(&path, &(struct grpc_call){ .method = "Unary", .messages = 1 }, 1));
	end(&path);
}

/* A client that gives up: the upstream learns of it at once, by RST_STREAM with CANCEL. */
static void test_cancel(void)
{
	struct grpc_call hang = { .method = "Hang", .messages = 1, .size = 9 };
	struct grpc_call open = { .method = "Hang", .messages = 1, .size = 9, .stays_open = true };
	struct grpc_call bidi = { .method = "Bidi", .messages = 3, .size = 9, .stays_open = true,
				  .cancel_after = 3 };
	struct grpc_call *calls[] = { &hang, &open, &bidi };
	struct path path;

	MUST(begin(&path, false));
	for (uint32_t i = 0; i < 3; i++) {
		CHECK(grpc_begin(&path.client, calls[i]));
		CHECK(WITHIN_MS(5000, kolk__load_acquire(&path.server.requests) == i + 1));
		if (calls[i]->cancel_after == 0)
			CHECK(grpc_cancel(&path.client, calls[i]));
		CHECK(grpc_wait(calls[i]) && calls[i]->err == KOLK_E_CANCELLED);
		CHECK(WITHIN_MS(1000, kolk__load_acquire(&path.server.closed) == i + 1));
		CHECK(grpc_server_seen(&path.server).code == 8);
	}
	CHECK(echoes(&path, &(struct grpc_call){ .method = "Unary", .messages = 1 }, 1));
	end(&path);
}

/* What fails before there is an answer has a status of HTTP, which clients of gRPC translate. */
static void test_failures(void)
{
	struct grpc_call reset = { .method = "Reset", .messages = 1, .size = 9 };
	struct grpc_call hang = { .method = "Hang", .messages = 1, .size = 9 };
	struct path path;

	MUST(begin_with(&path, false,
			"    - {match: {path: /echo}, pool: grpc, timeouts: {request: 300ms}}\n"));
	CHECK(call(&path, &reset) && reset.err == KOLK_OK && reset.status == 502);
	CHECK(call(&path, &hang) && hang.err == KOLK_OK && hang.status == 504);
	CHECK(WITHIN_MS(1000, kolk__load_acquire(&path.server.closed) == 2) &&
	      grpc_server_seen(&path.server).code == 8);
	CHECK(echoes(&path, &(struct grpc_call){ .method = "Unary", .messages = 1 }, 1));
	end(&path);
}

static const struct tap_test tests[] = {
	{ "gRPC: messages and trailers", test_echoes },
	{ "gRPC: messages and trailers, TLS in front", test_echoes_tls },
	{ "gRPC: a status alone, early and late", test_statuses },
	{ "gRPC: the client cancels", test_cancel },
	{ "gRPC: the upstream fails", test_failures },
};
TAP_TESTS(grpc, tests);
