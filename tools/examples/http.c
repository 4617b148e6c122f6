/* SPDX-License-Identifier: Apache-2.0 */
/*
 * http.c - requests over pooled connections: example-http ADDRESS TARGET [CA-FILE]
 *
 * ADDRESS is "host:port", or "tls://host:port": then HTTP/2 if the server agrees. A worker thread
 * asks for the whole answer and waits; then the loop asks, and sees the body as it comes.
 */
#include <kolk/http.h>
#include <kolk/kolk.h>
#include <semaphore.h>
#include <stdio.h>
#include <string.h>

/* ---- on a plain thread: the whole answer, in memory */

static bool ask_and_wait(struct kolk_http *http, struct kolk_key *key, const char *target)
{
	static const struct kolk_http_field fields[] = { { "Accept", "*/*" } };
	struct kolk_http_request request = KOLK_INIT(kolk_http_request);
	struct kolk_http_response response = KOLK_INIT(kolk_http_response);
	enum kolk_err err;

	request.target = target;
	request.fields = fields;
	request.field_count = 1;
	request.replayable = 1; /* a GET: once more if a used connection turns out to be dead */
	request.deadline_ns = kolk_in_ms(5000);
	err = kolk_http_call(http, key, &request, NULL, &response);
	if (err == KOLK_OK)
		printf("%u, %zu bytes over HTTP/%u.%u\n", response.status, response.body_size,
		       response.version / 10, response.version % 10);
	else
		fprintf(stderr, "%s: %s\n", target, kolk_err_text(err));
	kolk_http_response_free(&response);
	return err == KOLK_OK;
}

/* ---- on the loop: the body as it comes */

struct download {
	struct kolk_http *http;
	struct kolk_key *key;
	const char *target;
	size_t size;
	enum kolk_err err;
	sem_t done;
};

static void on_body(void *user, struct kolk_http_exchange *exchange, const void *data, size_t size)
{
	struct download *download = user;

	(void)exchange; /* too fast? kolk_http_pause(exchange), and the server is slowed down */
	(void)data;
	download->size += size;
}

static void on_end(void *user, struct kolk_http_exchange *exchange, enum kolk_err err,
		   const struct kolk_http_field *trailers, size_t trailer_count)
{
	struct download *download = user;

	(void)exchange;
	(void)trailers;
	(void)trailer_count;
	download->err = err;
	sem_post(&download->done);
}

static void begin(struct kolk_call *call, void *user)
{
	static const struct kolk_http_handler handler = {
		.size = sizeof handler, .body = on_body, .end = on_end
	};
	struct kolk_http_request request = KOLK_INIT(kolk_http_request);
	struct download *download = user;
	enum kolk_err err;

	(void)call;
	request.target = download->target;
	err = kolk_http_start(download->http, download->key, &request, &handler, download, NULL);
	if (err != KOLK_PENDING) /* refused: on_end will not run */
		on_end(download, NULL, err, NULL, 0);
}

static bool ask_on_loop(struct kolk_loop *loop, struct download *download)
{
	struct kolk_call call;

	sem_init(&download->done, 0, 0);
	if (kolk_loop_call(loop, &call, begin, download) != KOLK_OK)
		return false;
	sem_wait(&download->done);
	printf("%s, %zu bytes as they came\n", kolk_err_text(download->err), download->size);
	return download->err == KOLK_OK;
}

/* ---- an engine, a pool, a client */

static struct kolk_pool *add_pool(struct kolk_engine *engine, const char *address,
				  const char *ca_file)
{
	static const char *const alpn[] = { "h2", "http/1.1", NULL };
	struct kolk_pool_options options = KOLK_INIT(kolk_pool_options);
	struct kolk_tls_options tls = KOLK_INIT(kolk_tls_options);
	struct kolk_failure failure = KOLK_INIT(kolk_failure);
	struct kolk_pool *pool;

	tls.alpn = alpn;
	tls.ca_file = ca_file;
	options.name = "server";
	options.address = address;
	options.driver = kolk_driver_http(); /* driver_user NULL: every option at its default */
	options.tls = strncmp(address, "tls://", 6) == 0 ? &tls : NULL;
	options.failure = &failure;
	if (kolk_pool_add(engine, &options, &pool) == KOLK_OK)
		return pool;
	fprintf(stderr, "%s: %s\n", failure.field != NULL ? failure.field : address,
		kolk_err_text(failure.err));
	return NULL;
}

int main(int argc, char **argv)
{
	struct kolk_engine_options options = KOLK_INIT(kolk_engine_options);
	struct kolk_engine *engine;
	struct kolk_http *http;
	struct kolk_pool *pool;
	bool ok = false;

	if (argc < 3) {
		fprintf(stderr, "example-http ADDRESS TARGET [CA-FILE]\n");
		return 2;
	}
	if (kolk_engine_create(&options, &engine) != KOLK_OK)
		return 1;
	pool = add_pool(engine, argv[1], argc > 3 ? argv[3] : NULL);
	if (pool != NULL &&
	    kolk_http_open(kolk_engine_loop(engine, 0), NULL, &http) == KOLK_OK) {
		struct download download = { .http = http, .key = kolk_pool_key(pool),
					     .target = argv[2] };

		ok = ask_and_wait(http, kolk_pool_key(pool), argv[2]) &&
		     ask_on_loop(kolk_engine_loop(engine, 0), &download);
		kolk_http_close(http, NULL, NULL); /* before the engine */
	}
	kolk_engine_destroy(engine);
	return ok ? 0 : 1;
}
