/* SPDX-License-Identifier: Apache-2.0 */
/* fixture.c - its life: an engine of one loop, a server, the lists that it shows. */
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#include "tests/mcp/tools.h"

const char *const mcp_versions[MCP_VERSIONS] = { "2024-11-05", "2025-03-26", "2025-06-18",
						 "2025-11-25", "2026-07-28" };

static bool versions_read(struct mcp_fixture *fixture)
{
	const char *text = fixture->options.versions;

	for (uint32_t i = 0; i < MCP_VERSIONS; i++)
		if (text == NULL || strstr(text, mcp_versions[i]) != NULL)
			fixture->versions |= 1u << i;
	return fixture->versions != 0;
}

/* ---- HTTP */

static void http_options(const struct mcp_options *of, struct kolk_http_server_options *options)
{
	options->resets_max = 1000000; /* of clients that cancel */
	options->requests_max = 1000000000;
	options->body_bytes_max = UINT64_C(64) << 20;
	options->idle_timeout_ns = of->idle * UINT64_C(1000000);
	options->streams_max = of->streams;
}

static bool http_open(struct mcp_fixture *fixture)
{
	const struct kolk_certificate certificate = { fixture->options.certificate,
						      fixture->options.key };
	static const char *const alpn[] = { "h2", "http/1.1", NULL };
	struct kolk_http_server_options options = KOLK_INIT(kolk_http_server_options);
	struct kolk_listener_options listen = KOLK_INIT(kolk_listener_options);
	struct kolk_listener_tls tls = KOLK_INIT(kolk_listener_tls);
	struct kolk_listener *listener;
	enum kolk_err err;

	http_options(&fixture->options, &options);
	tls.certificates = &certificate;
	tls.certificate_count = 1;
	tls.alpn = alpn;
	listen.address = fixture->options.listen;
	listen.streams_max = KOLK_UNLIMITED;
	listen.tls = certificate.certificate_file != NULL ? &tls : NULL;
	err = kolk_http_server_open(fixture->engine, &options, &mcp_http_handler, fixture,
				    &fixture->server);
	if (err == KOLK_OK)
		err = kolk_http_server_listen(fixture->server, &listen, &listener);
	if (err != KOLK_OK) {
		fprintf(stderr, "%s: %s\n", listen.address, kolk_err_text(err));
		return false;
	}
	snprintf(fixture->address, sizeof fixture->address, "%s", kolk_listener_address(listener));
	return true;
}

/* ---- stdio */

static bool stdio_open(struct mcp_fixture *fixture)
{
	fixture->stdio = mcp_session_new(fixture);
	fixture->stdio->stdio = true;
	fixture->lines = mcp_stream_new(fixture, fixture->stdio);
	fixture->lines->kind = MCP_LINES;
	fixture->lines->standing = true;
	fixture->stdio->get = fixture->lines;
	return true;
}

struct line {
	struct kolk_call call;
	struct mcp_fixture *fixture;
	size_t size;
	char text[];
};

static void line_came(struct kolk_call *call, void *user)
{
	struct line *line = user;

	(void)call;
	mcp_line(line->fixture, line->text, line->size);
	free(line);
}

void mcp_fixture_line(struct mcp_fixture *fixture, const char *text, size_t size)
{
	struct line *line = malloc(sizeof *line + size);

	*line = (struct line){ .fixture = fixture, .size = size };
	memcpy(line->text, text, size);
	if (kolk_loop_call(fixture->loop, &line->call, line_came, line) != KOLK_OK)
		free(line);
}

/* ---- life */

struct mcp_fixture *mcp_fixture_open(const struct mcp_options *options)
{
	struct kolk_engine_options engine = KOLK_INIT(kolk_engine_options);
	struct mcp_fixture *fixture = calloc(1, sizeof *fixture);

	engine.loops = 1;
	fixture->options = *options;
	fixture->tools = mcp_tools_list();
	fixture->prompts = mcp_prompts_list();
	fixture->resources = mcp_resources_list();
	fixture->templates = mcp_templates_list();
	if (getrandom(fixture->secret, sizeof fixture->secret, 0) != sizeof fixture->secret ||
	    !versions_read(fixture) || kolk_engine_create(&engine, &fixture->engine) != KOLK_OK) {
		fprintf(stderr, "no engine, or no such versions\n");
		mcp_fixture_close(fixture);
		return NULL;
	}
	fixture->loop = kolk_engine_loop(fixture->engine, 0);
	if (options->stateless)
		fixture->anonymous = mcp_session_new(fixture);
	if ((options->stdio && !stdio_open(fixture)) ||
	    (options->listen != NULL && !http_open(fixture))) {
		mcp_fixture_close(fixture);
		return NULL;
	}
	return fixture;
}

struct closing {
	struct kolk_call call;
	struct mcp_fixture *fixture;
	kolk__atomic_u32 done;
};

static void streams_end(struct kolk_call *call, void *user)
{
	struct closing *closing = user;

	(void)call;
	mcp_streams_end(closing->fixture);
	kolk__store_release(&closing->done, 1);
}

static void sessions_end(struct kolk_call *call, void *user)
{
	struct closing *closing = user;
	struct mcp_fixture *fixture = closing->fixture;

	(void)call;
	mcp_sessions_forget(fixture);
	while (fixture->calls != NULL)
		mcp_call_drop(fixture->calls);
	kolk__store_release(&closing->done, 1);
}

/* On the loop, and wait for it. */
static void run(struct mcp_fixture *fixture, kolk_call_fn *callback)
{
	struct closing closing = { .fixture = fixture };

	if (kolk_loop_call(fixture->loop, &closing.call, callback, &closing) != KOLK_OK)
		return;
	while (kolk__load_acquire(&closing.done) == 0)
		nanosleep(&(struct timespec){ .tv_nsec = 100000 }, NULL);
}

void mcp_fixture_close(struct mcp_fixture *fixture)
{
	if (fixture->loop != NULL)
		run(fixture, streams_end);
	if (fixture->server != NULL)
		(void)kolk_http_server_close(fixture->server, kolk_in_ms(1000), NULL, NULL);
	if (fixture->loop != NULL)
		run(fixture, sessions_end);
	if (fixture->engine != NULL)
		(void)kolk_engine_destroy(fixture->engine);
	json_decref(fixture->tools);
	json_decref(fixture->prompts);
	json_decref(fixture->resources);
	json_decref(fixture->templates);
	free(fixture);
}

const char *mcp_fixture_address(const struct mcp_fixture *fixture)
{
	return fixture->address;
}

void mcp_fixture_hold(struct mcp_fixture *fixture, bool held)
{
	kolk__store_relaxed(&fixture->held, held);
}

uint64_t mcp_fixture_number(struct mcp_fixture *fixture, enum mcp_number number)
{
	return kolk__load_relaxed(&fixture->numbers[number]);
}
