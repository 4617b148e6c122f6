/* SPDX-License-Identifier: Apache-2.0 */
/*
 * http_server.c - requests to handlers: example-http_server [ADDRESS]
 *
 * ADDRESS is "127.0.0.1:8080" if none is given; port 0 = any. GET answers with a text; POST sends
 * the body back as it comes, no more of it in memory than a slow reader allows. SIGINT and SIGTERM
 * end it when the answers under way are sent.
 */
#include <inttypes.h>
#include <kolk/http_server.h>
#include <kolk/kolk.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { QUEUE_MAX = 65536 };

/* A body on its way back. */
struct echo {
	struct kolk_http_server_exchange *exchange;
	char *queue;
	size_t size, capacity;
	bool ended; /* the request has */
};

/* ---- the answer's body: what was queued */

static enum kolk_err pull(void *user, void *buffer, size_t capacity, size_t *size)
{
	struct echo *echo = user;

	if (echo->size == 0)
		return echo->ended ? KOLK_OK : KOLK_PENDING; /* 0 bytes = that was all */
	*size = echo->size < capacity ? echo->size : capacity;
	memcpy(buffer, echo->queue, *size);
	echo->size -= *size;
	memmove(echo->queue, echo->queue + *size, echo->size);
	if (echo->size < QUEUE_MAX)
		kolk_http_server_resume(echo->exchange);
	return KOLK_OK;
}

/* ---- the request */

static enum kolk_err begin(struct kolk_http_server_exchange *exchange, const char *method)
{
	static const struct kolk_http_field fields[] = { { "Content-Type", "text/plain" } };
	struct kolk_http_answer answer = KOLK_INIT(kolk_http_answer);

	answer.status = 200;
	answer.fields = fields;
	answer.field_count = 1;
	if (strcmp(method, "POST") == 0) {
		answer.pull = pull;
		answer.pull_size = KOLK_HTTP_CHUNKED;
	} else {
		answer.body = "hello\n";
		answer.body_size = 6;
	}
	return kolk_http_server_answer(exchange, &answer);
}

static void *on_request(void *server_user, struct kolk_http_server_exchange *exchange,
			const struct kolk_http_request_head *head)
{
	struct echo *echo = calloc(1, sizeof *echo);

	(void)server_user;
	if (echo != NULL)
		echo->exchange = exchange;
	if (echo == NULL || begin(exchange, head->method) != KOLK_OK)
		kolk_http_server_cancel(exchange);
	return echo;
}

static void on_body(void *user, struct kolk_http_server_exchange *exchange, const void *data,
		    size_t size)
{
	struct echo *echo = user;

	if (echo->size + size > echo->capacity) {
		char *queue = realloc(echo->queue, echo->size + size);

		if (queue == NULL) {
			kolk_http_server_cancel(exchange);
			return;
		}
		echo->queue = queue;
		echo->capacity = echo->size + size;
	}
	memcpy(echo->queue + echo->size, data, size);
	echo->size += size;
	if (echo->size >= QUEUE_MAX)
		kolk_http_server_pause(exchange); /* the client is slowed down */
	kolk_http_server_more(exchange);
}

static void on_body_end(void *user, struct kolk_http_server_exchange *exchange,
			const struct kolk_http_field *trailers, size_t trailer_count)
{
	struct echo *echo = user;

	(void)trailers;
	(void)trailer_count;
	echo->ended = true;
	kolk_http_server_more(exchange);
}

static void on_end(void *user, struct kolk_http_server_exchange *exchange, enum kolk_err err)
{
	struct echo *echo = user;

	(void)exchange;
	(void)err; /* KOLK_OK = sent; E_CLOSED, E_RESET = the client went */
	if (echo != NULL)
		free(echo->queue);
	free(echo);
}

/* ---- an engine, a server, a listener */

static void tell(const struct kolk_http_server *server)
{
	struct kolk_http_server_stats stats = KOLK_INIT(kolk_http_server_stats);

	(void)kolk_http_server_stats(server, &stats);
	printf("%" PRIu64 " requests, %" PRIu64 " refused, %" PRIu32 " under way\n",
	       stats.requests, stats.refused, stats.exchanges);
}

static bool serve(struct kolk_engine *engine, const char *address, const sigset_t *signals)
{
	static const struct kolk_http_server_handler handler = {
		.size = sizeof handler, .request = on_request, .body = on_body,
		.body_end = on_body_end, .end = on_end
	};
	struct kolk_listener_options options = KOLK_INIT(kolk_listener_options);
	struct kolk_listener *listener;
	struct kolk_http_server *server;
	enum kolk_err err;
	int signal_number;

	if (kolk_http_server_open(engine, NULL, &handler, NULL, &server) != KOLK_OK)
		return false;
	options.address = address;
	err = kolk_http_server_listen(server, &options, &listener);
	if (err == KOLK_OK) {
		printf("http://%s/\n", kolk_listener_address(listener));
		fflush(stdout);
		sigwait(signals, &signal_number);
		tell(server);
	} else {
		fprintf(stderr, "%s: %s\n", address, kolk_err_text(err));
	}
	kolk_http_server_close(server, kolk_in_ms(10000), NULL, NULL); /* before the engine */
	return err == KOLK_OK;
}

int main(int argc, char **argv)
{
	struct kolk_engine_options options = KOLK_INIT(kolk_engine_options);
	struct kolk_engine *engine;
	sigset_t signals;
	bool ok;

	sigemptyset(&signals);
	sigaddset(&signals, SIGINT);
	sigaddset(&signals, SIGTERM);
	pthread_sigmask(SIG_BLOCK, &signals, NULL); /* before there are other threads */
	if (kolk_engine_create(&options, &engine) != KOLK_OK)
		return 1;
	ok = serve(engine, argc > 1 ? argv[1] : "127.0.0.1:8080", &signals);
	kolk_engine_destroy(engine);
	return ok ? 0 : 1;
}
