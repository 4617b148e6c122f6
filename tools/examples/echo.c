/* SPDX-License-Identifier: Apache-2.0 */
/*
 * echo.c - a server: whatever a client sends comes back.
 *
 * With an address (127.0.0.1:7000, [::]:7000, unix:/tmp/echo) it serves until it is interrupted;
 * without one it takes a free port and is its own client.
 */
#include <kolk/kolk.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* One client. It reads no more than it can send: what came is kept here until it has gone. */
struct client {
	struct kolk_stream *stream;
	struct kolk_io io;
	bool sending, ended;
	void *bytes;
};

static void *on_open(void *listener_user, struct kolk_stream *stream)
{
	struct client *client = calloc(1, sizeof *client);

	(void)listener_user;
	if (client != NULL)
		client->stream = stream;
	return client; /* NULL: the stream is refused */
}

static void on_sent(void *user, enum kolk_err err, size_t size)
{
	struct client *client = user;

	(void)size;
	client->sending = false;
	free(client->bytes);
	client->bytes = NULL;
	if (err != KOLK_OK)
		return; /* on_end follows */
	kolk_stream_resume(client->stream);
	if (client->ended)
		kolk_stream_close(client->stream);
}

static void on_data(void *user, struct kolk_stream *stream, const void *bytes, size_t size)
{
	struct client *client = user;

	if (size == 0) { /* the client sends no more: it still gets what is left */
		client->ended = true;
		if (!client->sending)
			kolk_stream_close(stream);
		return;
	}
	kolk_stream_pause(stream);
	client->bytes = malloc(size);
	if (client->bytes == NULL) {
		kolk_stream_reset(stream);
		return;
	}
	memcpy(client->bytes, bytes, size);
	client->sending = true;
	if (kolk_stream_send(stream, &client->io, client->bytes, size, on_sent, client) !=
	    KOLK_PENDING)
		kolk_stream_reset(stream);
}

static void on_end(void *user, struct kolk_stream *stream, enum kolk_err err)
{
	struct client *client = user;

	(void)stream;
	if (err != KOLK_OK)
		fprintf(stderr, "a client is gone: %s\n", kolk_err_text(err));
	free(client->bytes);
	free(client);
}

/* A pool of one connection to the server: one question, one answer. */
static enum kolk_err ask(struct kolk_engine *engine, const char *address)
{
	struct kolk_pool_options options = KOLK_INIT(kolk_pool_options);
	struct kolk_pool *pool;
	struct kolk_lease lease;
	char answer[6] = "";
	size_t size = 0, part;
	enum kolk_err err;

	options.name = "echo";
	options.address = address;
	options.idle_min = KOLK_NONE;
	err = kolk_pool_add(engine, &options, &pool);
	if (err == KOLK_OK)
		err = kolk_acquire(kolk_pool_key(pool), kolk_in_ms(2000), &lease);
	if (err != KOLK_OK)
		return err;
	err = kolk_send_all(&lease, "hello", 5, kolk_in_ms(2000));
	for (; err == KOLK_OK && size < 5; size += part)
		err = kolk_recv(&lease, answer + size, 5 - size, kolk_in_ms(2000), &part);
	kolk_release(&lease);
	printf("%s answered: %s\n", address, answer);
	if (kolk_pool_close(pool, kolk_in_ms(1000)) != KOLK_OK)
		fprintf(stderr, "the pool does not close\n");
	return err;
}

static void wait_for_signal(void)
{
	sigset_t ends;
	int number;

	sigemptyset(&ends);
	sigaddset(&ends, SIGINT);
	sigaddset(&ends, SIGTERM);
	sigprocmask(SIG_BLOCK, &ends, NULL);
	sigwait(&ends, &number);
}

int main(int argc, char **argv)
{
	const struct kolk_stream_handler handler = { .size = sizeof handler, .open = on_open,
						     .data = on_data, .end = on_end };
	struct kolk_engine_options engine_options = KOLK_INIT(kolk_engine_options);
	struct kolk_listener_options options = KOLK_INIT(kolk_listener_options);
	struct kolk_failure failure = KOLK_INIT(kolk_failure);
	struct kolk_engine *engine;
	struct kolk_listener *listener;
	enum kolk_err err;

	err = kolk_engine_create(&engine_options, &engine);
	if (err != KOLK_OK) {
		fprintf(stderr, "no engine: %s\n", kolk_err_text(err));
		return 1;
	}
	options.address = argc > 1 ? argv[1] : "127.0.0.1:0";
	options.handler = &handler;
	options.failure = &failure;
	err = kolk_listen(engine, &options, &listener);
	if (err != KOLK_OK) {
		fprintf(stderr, "%s: %s %s\n", options.address, kolk_err_text(err),
			failure.field != NULL ? failure.field : "");
		return 1;
	}
	printf("listening on %s\n", kolk_listener_address(listener));
	if (argc > 1)
		wait_for_signal();
	else
		err = ask(engine, kolk_listener_address(listener));
	kolk_listener_close(listener, kolk_in_ms(2000), NULL, NULL); /* clients have 2 s to end */
	kolk_engine_destroy(engine);
	return err != KOLK_OK;
}
