/* SPDX-License-Identifier: Apache-2.0 */
/* http_server.c - structs of kolk/http_server.h: options, handlers, answers; and the heads that it shows. */
#include <kolk/http_server.h>
#include <stdio.h>
#include <string.h>

#include "tests/sized/sized.h"

static struct kolk_http_server *server; /* that answers with what is given */
static struct kolk_pool *server_pool;
static const void *given_answer;
static enum kolk_err answered;
static uint32_t head_size;

static void *on_request(void *user, struct kolk_http_server_exchange *exchange,
			const struct kolk_http_request_head *head)
{
	struct kolk_http_answer other = KOLK_INIT(kolk_http_answer);

	head_size = head->size;
	other.status = 204;
	answered = strcmp(head->target, "/") != 0 ? KOLK_E_PROTOCOL :
						    kolk_http_server_answer(exchange, given_answer);
	if (answered != KOLK_OK && kolk_http_server_answer(exchange, &other) != KOLK_OK)
		answered = KOLK_E_IN_USE;
	return user;
}

static void on_end(void *user, struct kolk_http_server_exchange *exchange, enum kolk_err err)
{
	(void)user;
	(void)exchange;
	(void)err;
}

struct kolk_http_server_handler http_server_handler(void)
{
	struct kolk_http_server_handler handler = KOLK_INIT(kolk_http_server_handler);

	handler.request = on_request;
	handler.end = on_end;
	return handler;
}

static enum kolk_err open_and_close(const void *options, const void *handler)
{
	struct kolk_http_server *made;
	enum kolk_err err = kolk_http_server_open(engine, options, handler, NULL, &made);

	return err == KOLK_OK ? kolk_http_server_close(made, soon(), NULL, NULL) : err;
}

enum kolk_err use_http_server(const void *given)
{
	struct kolk_http_server_handler handler = http_server_handler();

	return open_and_close(given, &handler);
}

enum kolk_err use_http_server_handler(const void *given)
{
	return open_and_close(NULL, given);
}

static enum kolk_err server_begin(void)
{
	struct kolk_http_server_handler handler = http_server_handler();
	struct kolk_listener_options listen = KOLK_INIT(kolk_listener_options);
	struct kolk_pool_options pool = pool_options("http server");
	struct kolk_listener *listener;
	enum kolk_err err = kolk_http_server_open(engine, NULL, &handler, NULL, &server);

	listen.address = "127.0.0.1:0";
	if (err == KOLK_OK)
		err = kolk_http_server_listen(server, &listen, &listener);
	if (err != KOLK_OK)
		return err;
	pool.address = kolk_listener_address(listener);
	pool.driver = kolk_driver_http();
	return kolk_pool_add(engine, &pool, &server_pool);
}

enum kolk_err use_http_answer(const void *given)
{
	struct kolk_http_request request = KOLK_INIT(kolk_http_request);
	struct kolk_http_response response = KOLK_INIT(kolk_http_response);
	enum kolk_err err = server == NULL ? server_begin() : KOLK_OK;

	given_answer = given;
	if (err == KOLK_OK)
		err = kolk_http_call(http, kolk_pool_key(server_pool), &request, NULL, &response);
	kolk_http_response_free(&response);
	return err == KOLK_OK ? answered : err;
}

enum kolk_err tell_http_server_stats(void *into)
{
	enum kolk_err err = server == NULL ? server_begin() : KOLK_OK;

	return err == KOLK_OK ? kolk_http_server_stats(server, into) : err;
}

void head_is_shown(void)
{
	bool whole = head_size + UNKNOWN >= sizeof(struct kolk_http_request_head);

	printf("%sok kolk_http_request_head, request\n", whole ? "" : "not ");
	if (server != NULL)
		(void)kolk_http_server_close(server, soon(), NULL, NULL);
}
