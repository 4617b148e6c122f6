/* SPDX-License-Identifier: Apache-2.0 */
/* mcp.c - structs of kolk/mcp.h: options, requests, handlers, results; and the messages that it shows. */
#include <kolk/mcp.h>
#include <semaphore.h>
#include <stdio.h>
#include <string.h>

#include "tests/sized/sized.h"

static struct kolk_mcp *mcp; /* on the server, whose every answer is a notification and a result */
static struct kolk_mcp_client *client;
static uint32_t message_size;

struct turn { /* on the loop */
	struct kolk_call call;
	const void *handler;
	struct kolk_mcp_client *client;
	enum kolk_err err;
	sem_t over;
};

static enum kolk_err run_turn(struct turn *turn, kolk_call_fn *run)
{
	enum kolk_err err;

	sem_init(&turn->over, 0, 0);
	err = kolk_loop_call(kolk_engine_loop(engine, 0), &turn->call, run, turn);
	while (err == KOLK_OK && sem_wait(&turn->over) != 0)
		;
	sem_destroy(&turn->over);
	return err == KOLK_OK ? turn->err : err;
}

static void close_client(struct kolk_call *call, void *user)
{
	struct turn *turn = user;

	(void)call;
	kolk_mcp_client_close(turn->client);
	sem_post(&turn->over);
}

static void client_end(struct kolk_mcp_client *ended)
{
	struct turn turn = { .client = ended };

	if (run_turn(&turn, close_client) != KOLK_OK)
		complain("the client does not close", 0, turn.err);
}

static enum kolk_err begin(void)
{
	struct kolk_mcp_options o = KOLK_INIT(kolk_mcp_options);
	enum kolk_err err;

	if (client != NULL)
		return KOLK_OK;
	o.era = KOLK_MCP_MODERN; /* no session: a call is one request */
	o.name = "sized mcp";
	err = kolk_mcp_open(http_pool, &o, &mcp);
	return err == KOLK_OK ? kolk_mcp_client_open(mcp, kolk_engine_loop(engine, 0), NULL, &client) :
				err;
}

enum kolk_err use_mcp(const void *given)
{
	struct kolk_mcp *made;
	enum kolk_err err = kolk_mcp_open(http_pool, given, &made);

	return err == KOLK_OK ? kolk_mcp_close(made, soon()) : err;
}

static void on_nothing(void *user, struct kolk_mcp_local *session,
		       const struct kolk_mcp_envelope *envelope,
		       const struct kolk_mcp_part *text)
{
	(void)user;
	(void)session;
	(void)envelope;
	(void)text;
}

struct kolk_mcp_server mcp_server(void)
{
	struct kolk_mcp_server server = KOLK_INIT(kolk_mcp_server);

	server.message = on_nothing;
	return server;
}

enum kolk_err use_mcp_server(const void *given)
{
	struct kolk_mcp_options o = KOLK_INIT(kolk_mcp_options);
	struct kolk_mcp *made;
	enum kolk_err err;

	o.name = "sized local";
	err = kolk_mcp_local_open(engine, given, &o, &made);
	return err == KOLK_OK ? kolk_mcp_close(made, soon()) : err;
}

enum kolk_err use_mcp_client(const void *given)
{
	struct kolk_mcp_client *made;
	enum kolk_err err = begin();

	if (err == KOLK_OK)
		err = kolk_mcp_client_open(mcp, kolk_engine_loop(engine, 0), given, &made);
	if (err == KOLK_OK)
		client_end(made);
	return err;
}

enum kolk_err use_mcp_request(const void *given)
{
	struct kolk_mcp_result result = KOLK_INIT(kolk_mcp_result);
	enum kolk_err err = begin();

	if (err == KOLK_OK)
		err = kolk_mcp_call(client, given, &result);
	kolk_mcp_result_free(&result);
	return err;
}

static void on_notification(void *user, struct kolk_mcp_call *call,
			    const struct kolk_mcp_message *message)
{
	(void)user;
	(void)call;
	message_size = message->size;
}

static void on_end(void *user, struct kolk_mcp_call *call, const struct kolk_mcp_result *result)
{
	struct turn *turn = user;

	(void)call;
	turn->err = result->err;
	sem_post(&turn->over);
}

struct kolk_mcp_handler mcp_handler(void)
{
	struct kolk_mcp_handler handler = KOLK_INIT(kolk_mcp_handler);

	handler.notification = on_notification;
	handler.end = on_end;
	return handler;
}

static void ask(struct kolk_call *call, void *user)
{
	struct kolk_mcp_request request = KOLK_INIT(kolk_mcp_request);
	struct turn *turn = user;

	(void)call;
	request.method = "tools/list";
	turn->err = kolk_mcp_start(client, &request, turn->handler, turn, NULL);
	if (turn->err != KOLK_PENDING)
		sem_post(&turn->over);
}

enum kolk_err use_mcp_handler(const void *given)
{
	struct turn turn = { .handler = given };
	enum kolk_err err = begin();

	return err == KOLK_OK ? run_turn(&turn, ask) : err;
}

enum kolk_err tell_mcp_result(void *into)
{
	struct kolk_mcp_request request = KOLK_INIT(kolk_mcp_request);
	struct kolk_mcp_result copy = KOLK_INIT(kolk_mcp_result);
	enum kolk_err err = begin();

	request.method = "tools/list";
	if (err == KOLK_OK)
		err = kolk_mcp_call(client, &request, into);
	if (err == KOLK_OK) { /* freed by a copy: what it is filled with is looked at */
		memcpy(&copy.memory, (char *)into + offsetof(struct kolk_mcp_result, memory),
		       sizeof copy.memory);
		kolk_mcp_result_free(&copy);
		err = copy.memory == NULL ? KOLK_OK : KOLK_E_IN_USE;
	}
	return err;
}

enum kolk_err tell_mcp_stats(void *into)
{
	enum kolk_err err = begin();

	return err == KOLK_OK ? kolk_mcp_stats(mcp, into) : err;
}

enum kolk_err tell_mcp_envelope(void *into)
{
	static const char text[] = "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"tools/call\","
				   "\"params\":{\"name\":\"echo\",\"_meta\":{}}}";

	return kolk_mcp_read(text, sizeof text - 1, into);
}

void message_is_shown(void)
{
	bool whole = message_size + UNKNOWN >= sizeof(struct kolk_mcp_message);

	printf("%sok kolk_mcp_message, notification\n", whole ? "" : "not ");
	if (client != NULL)
		client_end(client);
	if (mcp != NULL && kolk_mcp_close(mcp, soon()) != KOLK_OK)
		complain("the upstream does not close", 0, KOLK_E_TIMEOUT);
}
