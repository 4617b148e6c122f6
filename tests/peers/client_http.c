/* SPDX-License-Identifier: Apache-2.0 */
/* client_http.c - a nonce in a header of the request and in the body of the answer: HTTP/1.1,
 * HTTP/2 in plain text, HTTP/2 over TLS as ALPN decides. */
#include <kolk/http.h>

#include <string.h>

#include "tests/peers/clients.h"

enum { ANSWER = 64 };

struct http_slot {
	struct kolk_http_exchange *exchange;
	char text[CLIENT_NONCE], answer[ANSWER];
	size_t had;
	uint32_t status;
};

static bool serve(struct client_fixture *fixture)
{
	fixture->peer = kit_nginx_start(&(struct kit_nginx_options){
		.tls = true,
		.http2 = true,
		.http = "log_format nonce '$http_x_nonce'; map $status $executed { 200 1; "
			"default 0; }",
		.server = fixture->counts ? "access_log nonces nonce if=$executed;" : NULL });
	return fixture->peer != NULL;
}

static const char *address_plain(const struct client_fixture *fixture)
{
	return fixture->peer->address;
}

static const char *address_h2c(const struct client_fixture *fixture)
{
	return fixture->peer->h2c_address;
}

static const char *address_tls(const struct client_fixture *fixture)
{
	return fixture->peer->tls_address;
}

static enum kolk_err pool_add(struct client_fixture *fixture, struct kolk_pool_options *options,
			      const struct kolk_http_driver_options *http)
{
	options->driver = kolk_driver_http();
	options->driver_user = (void *)(uintptr_t)http;
	return kolk_pool_add(fixture->engine, options, &fixture->pool);
}

static enum kolk_err pool_1(struct client_fixture *fixture, struct kolk_pool_options *options)
{
	static const struct kolk_http_driver_options http = { .size = sizeof http,
							      .protocols = KOLK_HTTP_1_ONLY };

	return pool_add(fixture, options, &http);
}

/* A hasty test finds a black hole within its patience. Elsewhere a server that stands still for a
 * moment, as on a busy machine, is not gone. */
static struct kolk_http_driver_options http2_options(const struct client_fixture *fixture)
{
	struct kolk_http_driver_options http = KOLK_INIT(kolk_http_driver_options);

	if (fixture->hasty)
		http.ping_interval_ns = http.ping_timeout_ns = 200 * KOLK_MS_NS;
	return http;
}

static enum kolk_err pool_h2c(struct client_fixture *fixture, struct kolk_pool_options *options)
{
	struct kolk_http_driver_options http = http2_options(fixture);

	http.protocols = KOLK_HTTP_2_ONLY;
	return pool_add(fixture, options, &http);
}

static enum kolk_err pool_tls(struct client_fixture *fixture, struct kolk_pool_options *options)
{
	struct kolk_http_driver_options http = http2_options(fixture);
	static const char *const alpn[] = { "h2", "http/1.1", NULL };
	struct kolk_tls_options tls = KOLK_INIT(kolk_tls_options);

	tls.ca_file = fixture->peer->ca_file;
	tls.server_name = "localhost";
	tls.alpn = alpn;
	options->tls = &tls;
	return pool_add(fixture, options, &http);
}

static bool http_open(struct client_fixture *fixture)
{
	for (uint32_t i = 0; i < CLIENT_LOOPS; i++)
		if (!CHECK_ERR(kolk_http_open(kolk_engine_loop(fixture->engine, i), NULL,
					      (struct kolk_http **)&fixture->loops[i]),
			       KOLK_OK))
			return false;
	return true;
}

static void http_close(struct client_fixture *fixture)
{
	for (uint32_t i = 0; i < CLIENT_LOOPS; i++)
		if (fixture->loops[i] != NULL)
			CHECK_ERR(kolk_http_close(fixture->loops[i], NULL, NULL), KOLK_OK);
}

static void request_fill(struct kolk_http_request *request, const struct kolk_http_field *field,
			 uint64_t deadline_ns)
{
	*request = (struct kolk_http_request)KOLK_INIT(kolk_http_request);
	request->method = "POST"; /* what must not be done twice */
	request->target = "/nonce";
	request->fields = field;
	request->field_count = 1;
	request->deadline_ns = deadline_ns;
}

static void head(void *user, struct kolk_http_exchange *exchange,
		 const struct kolk_http_head *head)
{
	struct http_slot *http = ((struct kit_nonce_slot *)user)->memory;

	(void)exchange;
	http->status = head->status;
}

static void body(void *user, struct kolk_http_exchange *exchange, const void *data, size_t size)
{
	struct http_slot *http = ((struct kit_nonce_slot *)user)->memory;

	(void)exchange;
	if (size <= ANSWER - http->had) {
		memcpy(http->answer + http->had, data, size);
		http->had += size;
	}
}

static void end(void *user, struct kolk_http_exchange *exchange, enum kolk_err err,
		const struct kolk_http_field *trailers, size_t trailer_count)
{
	struct kit_nonce_slot *slot = user;
	struct http_slot *http = slot->memory;

	(void)exchange;
	(void)trailers;
	(void)trailer_count;
	if (err == KOLK_OK && http->status != 200)
		err = KOLK_E_PROTOCOL; /* nginx does not say so */
	kit_nonce_done(slot, err, nonce_parse(http->answer, http->had));
}

static const struct kolk_http_handler handler = {
	.size = sizeof handler, .head = head, .body = body, .end = end
};

static enum kolk_err start(struct kit_nonce_slot *slot)
{
	const struct client_fixture *fixture = slot->options->user;
	struct http_slot *http = slot->memory;
	const struct kolk_http_field field = { "X-Nonce", http->text };
	struct kolk_http_request request;

	nonce_print(slot->nonce, http->text);
	http->had = 0;
	http->status = 0;
	request_fill(&request, &field, client_deadline(slot));
	return kolk_http_start(fixture->loops[kolk_loop_index(slot->loop)], fixture->key, &request,
			       &handler, slot, &http->exchange);
}

static void cancel(struct kit_nonce_slot *slot)
{
	kolk_http_cancel(((struct http_slot *)slot->memory)->exchange);
}

static enum kolk_err call(void *user, uint64_t nonce, uint64_t deadline_ns, uint64_t *reply)
{
	const struct client_fixture *fixture = user;
	struct kolk_http_response response = KOLK_INIT(kolk_http_response);
	struct kolk_http_request request;
	char text[CLIENT_NONCE];
	const struct kolk_http_field field = { "X-Nonce", text };
	enum kolk_err err;

	nonce_print(nonce, text);
	request_fill(&request, &field, deadline_ns);
	err = kolk_http_call(fixture->loops[nonce % CLIENT_LOOPS], fixture->key, &request, NULL,
			     &response);
	if (err == KOLK_OK && response.status != 200)
		err = KOLK_E_PROTOCOL;
	*reply = nonce_parse(response.body != NULL ? response.body : "", response.body_size);
	kolk_http_response_free(&response);
	return err;
}

static bool executed(struct client_fixture *fixture, uint64_t *once, uint64_t *more)
{
	return client_fixture_lines(fixture, "nonces", once, more);
}

/* Nonce 1, as the server answers. Of HTTP/2 the head of an answer to a stream that was not opened:
 * 99. */
static const char junk_1[] = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nn1";
static const char junk_h2[] = "\0\0\1\1\5\0\0\0\143\210";

/* clang-format off */
#define HTTP_CLIENT(protocol, where, how, text)                                                \
	static const struct client client_##protocol = {                                       \
		.name = #protocol, .serve = serve, .address = where, .pool = how,              \
		.open = http_open, .close = http_close, .executed = executed,                  \
		.junk = (text), .junk_size = sizeof(text) - 1,                                 \
		.slot_bytes = sizeof(struct http_slot),                                        \
		.start = start, .cancel = cancel, .call = call,                                \
	};                                                                                     \
	PEERS_CLIENT(protocol)
/* clang-format on */

HTTP_CLIENT(http1, address_plain, pool_1, junk_1);
PEERS_IDLE(http1);
HTTP_CLIENT(h2c, address_h2c, pool_h2c, junk_h2);
PEERS_IDLE(h2c);
HTTP_CLIENT(h2, address_tls, pool_tls, junk_h2);
