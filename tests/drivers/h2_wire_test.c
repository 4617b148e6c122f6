/* SPDX-License-Identifier: Apache-2.0 */
/* h2_wire_test.c - HTTP/2 through a pool, against a server of nghttp2's that misbehaves on
 * request: the path says how. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <kolk/http.h>
#include <kolk/kolk.h>
#include <nghttp2/nghttp2.h>

#include "core/base/atomic.h"
#include "tests/kit/cmocka/run.h"
#include "tests/kit/mock.h"

/* ---- the server */

enum { BIG = 4 << 20 };

struct stream_state {
	struct stream_state *next;
	char path[64], id[24];
	size_t received, left;  /* of the request's body; of the answer's */
	bool expects, echoes, whole; /* whole: all of the request came */
	size_t echoed;
};

struct server {
	KOLK__ATOMIC(kit_mock_fn *) greet; /* after the first answer; NULL = nothing */
	uint32_t window;            /* for uploads; 0 = the usual */
	kolk__atomic_bool full;           /* it allows no stream at first */
	kolk__atomic_u32 full_us;        /* for so long; 0 = for ever */
	kolk__atomic_u32 pings, pongs, goaways, resets;
	kolk__atomic_u64 sent;          /* bytes of bodies */
};

struct session {
	nghttp2_session *ng;
	struct kit_mock_conn *conn;
	struct server *server;
	const char *raw;            /* to be sent after all that is queued */
	size_t raw_size, raw_times;
	bool dies, deaf;
	struct stream_state *all;
};

static ssize_t body_of(nghttp2_session *ng, int32_t id, uint8_t *buffer, size_t capacity,
		       uint32_t *flags, nghttp2_data_source *source, void *user)
{
	struct stream_state *stream_state = nghttp2_session_get_stream_user_data(ng, id);
	struct session *session = user;

	(void)source;
	if (stream_state->echoes) {
		size_t size = stream_state->received - stream_state->echoed;

		size = size < capacity ? size : capacity;
		memset(buffer, 'e', size);
		stream_state->echoed += size;
		if (stream_state->whole && stream_state->echoed == stream_state->received)
			*flags |= NGHTTP2_DATA_FLAG_EOF;
		else if (size == 0)
			return NGHTTP2_ERR_DEFERRED;
		return (ssize_t)size;
	}
	if (stream_state->left == 0) { /* the id is the answer */
		size_t size = strlen(stream_state->id);

		memcpy(buffer, stream_state->id, size);
		*flags |= NGHTTP2_DATA_FLAG_EOF;
		return (ssize_t)size;
	}
	if (capacity >= stream_state->left) {
		capacity = stream_state->left;
		*flags |= NGHTTP2_DATA_FLAG_EOF;
	}
	memset(buffer, 'x', capacity);
	stream_state->left -= capacity;
	kolk__add_acq_rel(&session->server->sent, capacity);
	return (ssize_t)capacity;
}

static void answer(struct session *session, int32_t id, struct stream_state *stream_state)
{
	nghttp2_nv status = { (uint8_t *)(uintptr_t) ":status", (uint8_t *)(uintptr_t) "200", 7, 3,
			      0 };
	nghttp2_data_provider body = { .read_callback = body_of };

	kit_mock_execute(session->conn, strtoull(stream_state->id, NULL, 10));
	nghttp2_submit_response(session->ng, id, &status, 1, &body);
}

static bool is_first(const struct session *session)
{
	return kit_mock_number(session->conn) == 0;
}

/* A request is there: what its path asks for, on the first connection or on all. */
static void serve(struct session *session, int32_t id, struct stream_state *stream_state)
{
	const char *path = stream_state->path;

	if (strcmp(path, "/goaway") == 0 && is_first(session))
		nghttp2_submit_goaway(session->ng, 0, 0, NGHTTP2_NO_ERROR, NULL, 0);
	else if (strcmp(path, "/refuse") == 0 && is_first(session))
		nghttp2_submit_rst_stream(session->ng, 0, id, NGHTTP2_REFUSED_STREAM);
	else if (strcmp(path, "/always-refuse") == 0)
		nghttp2_submit_rst_stream(session->ng, 0, id, NGHTTP2_REFUSED_STREAM);
	else if (strcmp(path, "/reset") == 0)
		nghttp2_submit_rst_stream(session->ng, 0, id, NGHTTP2_INTERNAL_ERROR),
			kit_mock_execute(session->conn, strtoull(stream_state->id, NULL, 10));
	else if (strcmp(path, "/die") == 0 && is_first(session))
		session->dies = true,
		kit_mock_execute(session->conn, strtoull(stream_state->id, NULL, 10));
	else if (strcmp(path, "/flood") == 0)
		session->raw = "\0\0\10\6\0\0\0\0\0" "12345678", session->raw_size = 17,
		session->raw_times = 20000;
	else if (strcmp(path, "/push") == 0)
		session->raw = "\0\0\5\5\4\0\0\0\1" "\0\0\0\2\x82", session->raw_size = 14,
		session->raw_times = 1;
	else if (strcmp(path, "/even") == 0) /* nghttp2 finds this one */
		session->raw = "\0\0\5\1\5\0\0\0\2" "\x08\3" "200", session->raw_size = 14,
		session->raw_times = 1;
	else if (strcmp(path, "/mute") == 0)
		session->deaf = true;
	else if (strcmp(path, "/hold") != 0)
		answer(session, id, stream_state);
}

static int on_begin(nghttp2_session *ng, const nghttp2_frame *frame, void *user)
{
	struct stream_state *stream_state = calloc(1, sizeof *stream_state);
	struct session *session = user;

	stream_state->next = session->all;
	session->all = stream_state;
	return nghttp2_session_set_stream_user_data(ng, frame->hd.stream_id, stream_state);
}

static int on_header(nghttp2_session *ng, const nghttp2_frame *frame, const uint8_t *name,
		     size_t name_size, const uint8_t *value, size_t value_size, uint8_t flags,
		     void *user)
{
	struct stream_state *stream_state = nghttp2_session_get_stream_user_data(ng, frame->hd.stream_id);

	(void)name_size, (void)value_size, (void)flags, (void)user;
	if (strcmp((const char *)name, ":path") == 0)
		snprintf(stream_state->path, sizeof stream_state->path, "%s", (const char *)value);
	else if (strcmp((const char *)name, "x-id") == 0)
		snprintf(stream_state->id, sizeof stream_state->id, "%s", (const char *)value);
	else if (strcmp((const char *)name, "expect") == 0)
		stream_state->expects = true;
	if (strcmp(stream_state->path, "/big") == 0)
		stream_state->left = BIG;
	return 0;
}

static int on_chunk(nghttp2_session *ng, uint8_t flags, int32_t id, const uint8_t *data,
		    size_t size, void *user)
{
	struct stream_state *stream_state = nghttp2_session_get_stream_user_data(ng, id);

	(void)flags, (void)data, (void)user;
	stream_state->received += size;
	if (stream_state->echoes)
		nghttp2_session_resume_data(ng, id);
	return 0;
}

/* The SETTINGS raise the limit now. */
static void open_up(struct session *session, uint32_t after_us)
{
	nghttp2_settings_entry many = { NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, 100 };

	kit_mock_wait(session->conn, after_us);
	kolk__store_release(&session->server->full_us, 0);
	nghttp2_submit_settings(session->ng, 0, &many, 1);
}

static int on_frame(nghttp2_session *ng, const nghttp2_frame *frame, void *user)
{
	nghttp2_nv continue_head = { (uint8_t *)(uintptr_t) ":status", (uint8_t *)(uintptr_t) "100", 7, 3,
				     0 };
	struct session *session = user;
	struct stream_state *stream_state = nghttp2_session_get_stream_user_data(ng, frame->hd.stream_id);

	kolk__add_acq_rel(&session->server->pongs, frame->hd.type == NGHTTP2_PING &&
				  (frame->hd.flags & NGHTTP2_FLAG_ACK));
	kolk__add_acq_rel(&session->server->pings, frame->hd.type == NGHTTP2_PING &&
				  !(frame->hd.flags & NGHTTP2_FLAG_ACK));
	kolk__add_acq_rel(&session->server->goaways, frame->hd.type == NGHTTP2_GOAWAY);
	if (frame->hd.type == NGHTTP2_SETTINGS &&
	    kolk__load_acquire(&session->server->full_us) != 0)
		open_up(session, kolk__load_acquire(&session->server->full_us));
	kolk__add_acq_rel(&session->server->resets, frame->hd.type == NGHTTP2_RST_STREAM);
	if (frame->hd.type != NGHTTP2_HEADERS && frame->hd.type != NGHTTP2_DATA)
		return 0;
	if (stream_state != NULL && stream_state->expects &&
	    strcmp(stream_state->path, "/continue") == 0 && stream_state->received == 0 &&
	    frame->hd.type == NGHTTP2_HEADERS)
		nghttp2_submit_headers(ng, 0, frame->hd.stream_id, NULL, &continue_head, 1, NULL);
	if (stream_state != NULL && strcmp(stream_state->path, "/deaf") == 0)
		session->deaf = true;
	if (stream_state != NULL && strcmp(stream_state->path, "/echo") == 0) {
		bool begins = !stream_state->echoes;

		stream_state->echoes = true;
		stream_state->whole = frame->hd.flags & NGHTTP2_FLAG_END_STREAM;
		if (begins)
			answer(session, frame->hd.stream_id, stream_state);
		else if (stream_state->whole)
			nghttp2_session_resume_data(ng, frame->hd.stream_id);
		return 0;
	}
	if (stream_state != NULL && (frame->hd.flags & NGHTTP2_FLAG_END_STREAM)) {
		if (strcmp(stream_state->path, "/sink") == 0 || strcmp(stream_state->path, "/continue") == 0)
			snprintf(stream_state->id, sizeof stream_state->id, "%zu", stream_state->received);
		serve(session, frame->hd.stream_id, stream_state);
	}
	return 0;
}

static nghttp2_session *session_make(struct session *session)
{
	uint32_t window = session->server->window != 0 ? session->server->window : 65535;
	nghttp2_settings_entry settings[] = {
		{ NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, window },
		{ NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, 0 },
	};
	nghttp2_session_callbacks *callbacks;

	nghttp2_session_callbacks_new(&callbacks);
	nghttp2_session_callbacks_set_on_begin_headers_callback(callbacks, on_begin);
	nghttp2_session_callbacks_set_on_header_callback(callbacks, on_header);
	nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, on_chunk);
	nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, on_frame);
	nghttp2_session_server_new(&session->ng, callbacks, session);
	nghttp2_session_callbacks_del(callbacks);
	nghttp2_submit_settings(session->ng, 0, settings,
				kolk__load_acquire(&session->server->full) ? 2 : 1);
	return session->ng;
}

static bool flush(struct session *session)
{
	const uint8_t *out;
	ssize_t size;

	while ((size = nghttp2_session_mem_send(session->ng, &out)) > 0)
		if (!kit_mock_send(session->conn, out, (size_t)size))
			return false;
	for (; session->raw_times > 0; session->raw_times--)
		if (!kit_mock_send(session->conn, session->raw, session->raw_size))
			return false;
	return size == 0;
}

static void mock_run(struct kit_mock_conn *conn, void *user)
{
	struct session session = { .conn = conn, .server = user };
	uint8_t in[16384];
	size_t size = 0;

	session_make(&session);
	while (flush(&session) && !session.dies) {
		kit_mock_fn *greet = kolk__load_acquire(&session.server->greet);

		if (greet != NULL && session.all != NULL)
			greet(conn, user);
		if (session.deaf) /* reads no more, but stays */
			kit_mock_wait(conn, 1500000);
		size = kit_mock_read_some(conn, in, sizeof in, 60000);
		if (size == 0 || nghttp2_session_mem_recv(session.ng, in, size) < 0)
			break;
	}
	if (session.dies)
		kit_mock_reset(conn);
	while (session.all != NULL) { /* of streams that were open */
		struct stream_state *stream_state = session.all;

		session.all = stream_state->next;
		free(stream_state);
	}
	nghttp2_session_del(session.ng);
}

/* ---- the client */

struct fixture {
	struct server server;
	struct kit_mock *mock;
	struct kolk_engine *engine;
	struct kolk_pool *pool;
	struct kolk_http *http;
	struct kolk_http_driver_options options;
	kolk__atomic_u64 id;
};

static void nap_ms(int ms)
{
	nanosleep(&(struct timespec){ ms / 1000, ms % 1000 * 1000000L }, NULL);
}

/* It holds soon; how soon is the machine's matter. */
#define SOON(x)                                          \
	do {                                             \
		for (int ms_ = 0; ms_ < 5000 && !(x); ms_++) \
			nap_ms(1);                       \
		assert_true(x);                          \
	} while (0)

static struct fixture *fixture_open(const struct kolk_http_driver_options *options, uint32_t window)
{
	struct kolk_engine_options engine = KOLK_INIT(kolk_engine_options);
	struct kolk_pool_options pool = KOLK_INIT(kolk_pool_options);
	struct fixture *fixture = calloc(1, sizeof *fixture);

	fixture->server.window = window;
	fixture->mock = kit_mock_open(&(struct kit_mock_options){ .play = mock_run,
								  .user = &fixture->server });
	assert_non_null(fixture->mock);
	if (options != NULL)
		fixture->options = *options;
	fixture->options.size = (uint32_t)sizeof fixture->options;
	fixture->options.protocols = KOLK_HTTP_2_ONLY;
	engine.loops = 2;
	pool.name = "mock";
	pool.address = kit_mock_address(fixture->mock);
	pool.driver = kolk_driver_http();
	pool.driver_user = &fixture->options;
	pool.idle_min = KOLK_NONE;
	pool.ping_interval_ns = 50 * KOLK_MS_NS;
	assert_int_equal(kolk_engine_create(&engine, &fixture->engine), KOLK_OK);
	assert_int_equal(kolk_pool_add(fixture->engine, &pool, &fixture->pool), KOLK_OK);
	assert_int_equal(kolk_http_open(kolk_engine_loop(fixture->engine, 0), NULL, &fixture->http),
			 KOLK_OK);
	return fixture;
}

static void fixture_close(struct fixture *fixture)
{

	assert_int_equal(kolk_http_close(fixture->http, NULL, NULL), KOLK_OK);
	assert_int_equal(kolk_engine_destroy(fixture->engine), KOLK_OK);
	kit_mock_close(fixture->mock);
	free(fixture);
}

struct ask {
	const char *target, *method;
	bool replayable, expect;
	size_t body_size;
	uint64_t deadline_ms, idle_ms;
};

struct result {
	enum kolk_err err;
	uint32_t status, retried, executions;
	size_t body_size;
	uint64_t took_ms;
	bool mine; /* the body is the request's id */
};

static uint64_t now_ms(void)
{
	return kolk_in_ns(0) / KOLK_MS_NS;
}

static struct result ask_by(struct fixture *fixture, struct kolk_http *http, const struct ask *what)
{
	static char body[60000000];
	struct kolk_http_response response = KOLK_INIT(kolk_http_response);
	struct kolk_http_request request = KOLK_INIT(kolk_http_request);
	uint64_t id = kolk__add_relaxed(&fixture->id, 1) + 1, began_ms = now_ms();
	struct result result;
	char text[24];

	snprintf(text, sizeof text, "%llu", (unsigned long long)id);
	request.fields = &(struct kolk_http_field){ "X-Id", text };
	request.field_count = 1;
	request.target = what->target;
	request.method = what->method;
	request.body = body;
	request.body_size = what->body_size;
	request.replayable = what->replayable;
	request.expect_continue = what->expect;
	request.deadline_ns = what->deadline_ms != 0 ? kolk_in_ms(what->deadline_ms) : 0;
	request.idle_timeout_ns = what->idle_ms * KOLK_MS_NS;
	result.err = kolk_http_call(http, kolk_pool_key(fixture->pool), &request, NULL,
				    &response);
	result.status = response.status;
	result.retried = response.retried;
	result.body_size = response.body_size;
	result.mine = response.body_size == strlen(text) &&
		    memcmp(response.body, text, response.body_size) == 0;
	result.executions = kit_mock_executions(fixture->mock, id);
	result.took_ms = now_ms() - began_ms;
	kolk_http_response_free(&response);
	return result;
}

static struct result ask(struct fixture *fixture, const struct ask *what)
{
	return ask_by(fixture, fixture->http, what);
}

static struct result get(struct fixture *fixture, const char *target)
{
	return ask(fixture, &(struct ask){ .target = target });
}

static uint64_t accepted(struct fixture *fixture)
{
	return kit_mock_counts(fixture->mock).accepted;
}

static uint64_t ended(struct fixture *fixture, enum kolk_reason reason)
{
	struct kolk_stats stats = KOLK_INIT(kolk_stats);

	assert_int_equal(kolk_pool_stats(fixture->pool, &stats), KOLK_OK);
	return stats.destroyed[reason];
}

/* ---- tests */

static void one_after_the_other(void **state)
{
	struct fixture *fixture = fixture_open(NULL, 0);

	(void)state;
	for (int i = 0; i < 200; i++) {
		struct result result = get(fixture, "/ok");

		assert_int_equal(result.err, KOLK_OK);
		assert_true(result.mine);
		if (i % 20 == 0)
			nap_ms(10); /* it is released, and leased again */
	}
	assert_int_equal(accepted(fixture), 1);
	fixture_close(fixture);
}

struct many {
	struct fixture *fixture;
	kolk__atomic_int wrong;
};

static void *ask_many(void *arg)
{
	struct many *many = arg;

	for (int i = 0; i < 500; i++) {
		struct result result = get(many->fixture, "/ok");

		kolk__add_acq_rel(&many->wrong,
				  result.err != KOLK_OK || !result.mine || result.executions != 1);
	}
	return NULL;
}

static void many_threads_on_one_connection(void **state)
{
	struct many many = { .fixture = fixture_open(NULL, 0) };
	pthread_t thread[16];

	(void)state;
	for (int i = 0; i < 16; i++)
		pthread_create(&thread[i], NULL, ask_many, &many);
	for (int i = 0; i < 16; i++)
		pthread_join(thread[i], NULL);
	assert_int_equal(kolk__load_acquire(&many.wrong), 0);
	assert_int_equal(accepted(many.fixture), 1);
	fixture_close(many.fixture);
}

struct half {
	struct fixture *fixture;
	struct kolk_http *http;
	kolk__atomic_int *wrong;
};

static void *ask_now_and_then(void *arg)
{
	struct half *half = arg;

	for (int i = 0; i < 150; i++) {
		struct result result = ask_by(half->fixture, half->http,
					      &(struct ask){ .target = "/ok" });

		kolk__add_acq_rel(half->wrong,
				  result.err != KOLK_OK || !result.mine || result.executions != 1);
		nap_ms(i % 7);
	}
	return NULL;
}

/* Two loops, a client each, one key: connections go from one to the other when they are idle. */
static void two_loops_share_a_key(void **state)
{
	struct fixture *fixture = fixture_open(NULL, 0);
	struct half half[2];
	kolk__atomic_int wrong = { 0 };
	pthread_t thread[6];

	(void)state;
	for (int i = 0; i < 2; i++)
		half[i] = (struct half){ fixture, fixture->http, &wrong };
	assert_int_equal(kolk_http_open(kolk_engine_loop(fixture->engine, 1), NULL, &half[1].http),
			 KOLK_OK);
	for (int i = 0; i < 6; i++)
		pthread_create(&thread[i], NULL, ask_now_and_then, &half[i % 2]);
	for (int i = 0; i < 6; i++)
		pthread_join(thread[i], NULL);
	assert_int_equal(kolk__load_acquire(&wrong), 0);
	assert_true(accepted(fixture) <= 4);
	assert_int_equal(kolk_http_close(half[1].http, NULL, NULL), KOLK_OK);
	fixture_close(fixture);
}

/* A POST that the peer did not process is sent again, and executed once. */
static void what_goaway_excludes_is_sent_again(void **state)
{
	struct fixture *fixture = fixture_open(NULL, 0);
	struct result result = ask(fixture, &(struct ask){ .target = "/goaway", .method = "POST",
							   .body_size = 10 });

	(void)state;
	assert_int_equal(result.err, KOLK_OK);
	assert_true(result.mine);
	assert_int_equal(result.executions, 1);
	assert_int_equal(result.retried, 1);
	assert_int_equal(accepted(fixture), 2);
	fixture_close(fixture);
}

static void a_refused_stream_is_sent_again_once(void **state)
{
	struct fixture *fixture = fixture_open(NULL, 0);
	struct result result = ask(fixture, &(struct ask){ .target = "/always-refuse",
							   .method = "POST" });

	(void)state;
	assert_int_equal(result.err, KOLK_E_CLOSED);
	assert_int_equal(result.retried, 1);
	assert_int_equal(result.executions, 0);
	fixture_close(fixture);
}

/* Neither a reset nor a death proves anything. */
static void what_may_have_been_done_is_not_sent_again(void **state)
{
	struct fixture *fixture = fixture_open(NULL, 0);
	struct result result = ask(fixture, &(struct ask){ .target = "/reset", .method = "POST" });

	(void)state;
	assert_int_equal(result.err, KOLK_E_RESET);
	assert_int_equal(result.executions, 1);
	assert_int_equal(result.retried, 0);
	result = ask(fixture, &(struct ask){ .target = "/die", .method = "POST" });
	assert_true(result.err == KOLK_E_RESET || result.err == KOLK_E_CLOSED);
	assert_int_equal(result.executions, 1);
	assert_int_equal(result.retried, 0);
	assert_int_equal(get(fixture, "/ok").err, KOLK_OK);
	assert_int_equal(accepted(fixture), 2);
	fixture_close(fixture);
}

static void what_is_replayable_is_sent_again_once(void **state)
{
	struct fixture *fixture = fixture_open(NULL, 0);
	struct result result;

	(void)state;
	assert_int_equal(get(fixture, "/ok").err, KOLK_OK); /* a reused connection */
	result = ask(fixture, &(struct ask){ .target = "/die", .replayable = true });
	assert_int_equal(result.err, KOLK_OK);
	assert_true(result.mine);
	assert_int_equal(result.executions, 2);
	assert_int_equal(result.retried, 1);
	fixture_close(fixture);
}

static void a_flood_ends_the_connection(void **state)
{
	struct fixture *fixture = fixture_open(NULL, 0);

	(void)state;
	assert_int_equal(get(fixture, "/flood").err, KOLK_E_FLOOD);
	assert_int_equal(get(fixture, "/ok").err, KOLK_OK);
	assert_int_equal(accepted(fixture), 2);
	fixture_close(fixture);
}

/* The connection that a request ends: counted once, as what it was. */
static void expect_reason(const char *target, enum kolk_err err, enum kolk_reason reason,
			  bool result)
{
	struct kolk_http_driver_options options = { .ping_interval_ns = 30 * KOLK_MS_NS,
						    .ping_timeout_ns = 300 * KOLK_MS_NS,
						    .requests_max = 2 };
	struct fixture *fixture = fixture_open(&options, 0);
	struct result end = get(fixture, target);

	if (end.err != err)
		fail_msg("%s: %s", target, kolk_err_name(end.err));
	if (reason == KOLK_REASON_USES)
		assert_int_equal(get(fixture, target).err, KOLK_OK);
	SOON(ended(fixture, reason) == 1);
	assert_int_equal(ended(fixture, KOLK_REASON_DISCARDED), 0);
	assert_int_equal(ended(fixture, KOLK_REASON_DIRTY), 0);
	if (result)
		SOON(kolk__load_acquire(&fixture->server.goaways) == 1);
	fixture_close(fixture);
}

static void *ask_and_give_up(void *arg)
{
	struct ask what = { .target = "/hold", .deadline_ms = 200 };

	assert_int_equal(ask(arg, &what).err, KOLK_E_TIMEOUT);
	return NULL;
}

static void what_the_pool_wills_is_named_so(void **state)
{
	struct fixture *fixture = fixture_open(NULL, 0);
	pthread_t thread;

	(void)state;
	pthread_create(&thread, NULL, ask_and_give_up, fixture);
	nap_ms(50);
	assert_int_equal(kolk_pool_rotate(fixture->pool), 1);
	pthread_join(thread, NULL);
	SOON(ended(fixture, KOLK_REASON_ROTATED) == 1);
	assert_int_equal(ended(fixture, KOLK_REASON_DISCARDED), 0);
	fixture_close(fixture);
}

static void what_ends_a_connection_is_named(void **state)
{
	(void)state;
	expect_reason("/flood", KOLK_E_FLOOD, KOLK_REASON_FLOOD, false);
	expect_reason("/push", KOLK_E_PROTOCOL, KOLK_REASON_PROTOCOL, true);
	expect_reason("/even", KOLK_E_PROTOCOL, KOLK_REASON_PROTOCOL, true);
	expect_reason("/die", KOLK_E_RESET, KOLK_REASON_PEER_RESET, false);
	expect_reason("/mute", KOLK_E_CLOSED, KOLK_REASON_PING_TIMEOUT, false);
	expect_reason("/goaway", KOLK_OK, KOLK_REASON_PEER_CLOSED, false);
	expect_reason("/ok", KOLK_OK, KOLK_REASON_USES, false);
}

struct late {
	struct fixture *fixture;
	enum kolk_err err;
	pthread_t thread;
};

static void *ask_late(void *arg)
{
	struct late *late = arg;
	struct ask what = { .target = "/ok", .deadline_ms = 600 };

	late->err = ask(late->fixture, &what).err;
	return NULL;
}

/* RFC 9113, section 6.5.2: a limit of 0 is for a short time. Requests wait on the existing
 * connection; ten more would get the same limit. */
static void a_limit_of_no_streams(void **state)
{
	(void)state;
	for (int opens = 0; opens < 2; opens++) {
		struct fixture *fixture = fixture_open(NULL, 0);
		struct late late[5];

		kolk__store_release(&fixture->server.full, true);
		kolk__store_release(&fixture->server.full_us, opens ? 200000 : 0);
		for (int i = 0; i < 5; i++) {
			late[i].fixture = fixture;
			pthread_create(&late[i].thread, NULL, ask_late, &late[i]);
		}
		for (int i = 0; i < 5; i++) {
			pthread_join(late[i].thread, NULL);
			assert_int_equal(late[i].err, opens ? KOLK_OK : KOLK_E_TIMEOUT);
		}
		assert_int_equal(accepted(fixture), 1);
		fixture_close(fixture);
	}
}

/* Cancels beyond the budget of resets: the connection stays, and the answers are discarded. */
static void a_time_out_costs_a_stream_not_the_connection(void **state)
{
	struct fixture *fixture = fixture_open(NULL, 0);

	(void)state;
	assert_int_equal(get(fixture, "/ok").err, KOLK_OK);
	for (int i = 0; i < 5; i++) {
		struct result result = ask(fixture, &(struct ask){ .target = "/hold",
								   .deadline_ms = 20 });

		assert_int_equal(result.err, KOLK_E_TIMEOUT);
		assert_in_range(result.took_ms, 19, 5000);
	}
	assert_true(get(fixture, "/ok").mine);
	assert_int_equal(accepted(fixture), 1);
	assert_int_equal(kolk__load_acquire(&fixture->server.resets), 5);
	fixture_close(fixture);
}

static void an_upload_that_stalls(void **state)
{
	struct fixture *fixture = fixture_open(NULL, 1000);
	struct result result;

	(void)state;
	result = ask(fixture, &(struct ask){ .target = "/sink", .method = "PUT",
					     .body_size = 300000 });
	assert_int_equal(result.err, KOLK_OK); /* 1000 bytes at a time */
	assert_int_equal(result.body_size, 6);
	result = ask(fixture, &(struct ask){ .target = "/hold", .idle_ms = 50 });
	assert_int_equal(result.err, KOLK_E_TIMEOUT);
	assert_int_equal(accepted(fixture), 1);
	fixture_close(fixture);
}

static void expect_continue(void **state)
{
	struct kolk_http_driver_options options = { .continue_timeout_ns = 2 * KOLK_S_NS };
	struct fixture *fixture = fixture_open(&options, 0);
	struct result result = ask(fixture, &(struct ask){ .target = "/continue", .method = "PUT",
							   .body_size = 5000, .expect = true });

	(void)state;
	assert_int_equal(result.err, KOLK_OK);
	assert_true(result.took_ms < 1990);
	result = ask(fixture, &(struct ask){ .target = "/sink", .method = "PUT", .body_size = 5000,
					     .expect = true });
	assert_int_equal(result.err, KOLK_OK);
	assert_in_range(result.took_ms, 1999, 8000); /* without a 100: sent all the same */
	fixture_close(fixture);
}

/* ---- while it is idle */

static void ping(struct kit_mock_conn *conn, void *user)
{
	struct server *server = user;

	kolk__store_release(&server->greet, NULL);
	kit_mock_wait(conn, 50000);
	kit_mock_send(conn, "\0\0\10\6\0\0\0\0\0" "abcdefgh", 17);
}

static void the_peer_speaks_while_it_is_idle(void **state)
{
	struct fixture *fixture = fixture_open(NULL, 0);

	(void)state;
	kolk__store_release(&fixture->server.greet, ping);
	assert_int_equal(get(fixture, "/ok").err, KOLK_OK);
	SOON(kolk__load_acquire(&fixture->server.pongs) == 1);
	assert_true(get(fixture, "/ok").mine);
	assert_int_equal(accepted(fixture), 1);
	fixture_close(fixture);
}

static void goaway(struct kit_mock_conn *conn, void *user)
{
	struct server *server = user;

	kolk__store_release(&server->greet, NULL);
	kit_mock_wait(conn, 50000);
	kit_mock_send(conn, "\0\0\10\7\0\0\0\0\0" "\0\0\0\1\0\0\0\0", 17);
}

static void the_peer_leaves_while_it_is_idle(void **state)
{
	struct fixture *fixture = fixture_open(NULL, 0);

	(void)state;
	kolk__store_release(&fixture->server.greet, goaway);
	assert_int_equal(get(fixture, "/ok").err, KOLK_OK);
	SOON(kit_mock_counts(fixture->mock).open == 0);
	SOON(ended(fixture, KOLK_REASON_PEER_CLOSED) == 1); /* it said so, in good order */
	assert_true(get(fixture, "/ok").mine);
	assert_int_equal(accepted(fixture), 2);
	fixture_close(fixture);
}

static void the_pool_pings(void **state)
{
	struct fixture *fixture = fixture_open(NULL, 0);

	(void)state;
	assert_int_equal(get(fixture, "/ok").err, KOLK_OK);
	SOON(kolk__load_acquire(&fixture->server.pings) >= 3); /* ping_interval_ns is 50 ms */
	assert_true(get(fixture, "/ok").mine);
	assert_int_equal(accepted(fixture), 1);
	fixture_close(fixture);
}

/* The peer stops reading in the middle of an upload: the connection does not outlive it
 * (CVE-2024-22201), though not even the PING can be sent. */
static void a_peer_that_does_not_read(void **state)
{
	struct kolk_http_driver_options options = { .ping_interval_ns = 200 * KOLK_MS_NS,
						    .ping_timeout_ns = 200 * KOLK_MS_NS };
	struct fixture *fixture = fixture_open(&options, 1 << 30);
	struct result result = ask(fixture, &(struct ask){ .target = "/deaf", .method = "PUT",
							   .body_size = 60000000 });

	(void)state;
	assert_int_equal(result.err, KOLK_E_CLOSED);
	assert_in_range(result.took_ms, 390, 10000);
	assert_int_equal(result.executions, 0);
	assert_true(get(fixture, "/ok").mine);
	assert_int_equal(accepted(fixture), 2);
	fixture_close(fixture);
}

/* ---- back-pressure */

struct reader {
	struct fixture *fixture;
	struct kolk_http_exchange *exchange;
	struct kolk_call call;
	size_t size;
	kolk__atomic_bool paused, done;
	enum kolk_err err;
};

static void reader_body(void *user, struct kolk_http_exchange *exchange, const void *data,
			size_t size)
{
	struct reader *reader = user;

	(void)data;
	if (reader->size == 0) {
		kolk_http_pause(exchange);
		kolk__store_release(&reader->paused, true);
	}
	reader->size += size;
}

static void reader_end(void *user, struct kolk_http_exchange *exchange, enum kolk_err err,
		       const struct kolk_http_field *trailers, size_t trailer_count)
{
	struct reader *reader = user;

	(void)exchange, (void)trailers, (void)trailer_count;
	reader->err = err;
	kolk__store_release(&reader->done, true);
}

static void reader_start(struct kolk_call *call, void *user)
{
	static const struct kolk_http_handler handler = {
		.size = (uint32_t)sizeof handler, .body = reader_body, .end = reader_end
	};
	struct kolk_http_request request = KOLK_INIT(kolk_http_request);
	struct reader *reader = user;

	(void)call;
	request.target = "/big";
	assert_int_equal(kolk_http_start(reader->fixture->http, kolk_pool_key(reader->fixture->pool),
					 &request, &handler, reader, &reader->exchange),
			 KOLK_PENDING);
}

static void reader_resume(struct kolk_call *call, void *user)
{
	struct reader *reader = user;

	(void)call;
	kolk_http_resume(reader->exchange);
}

/* A caller that does not read: the peer stops at the stream's window, other streams go on. */
static void a_slow_reader_stops_the_peer_not_the_others(void **state)
{
	struct kolk_http_driver_options options = { .stream_window = 100000 };
	struct fixture *fixture = fixture_open(&options, 0);
	struct reader reader = { .fixture = fixture };

	(void)state;
	kolk_loop_call(kolk_engine_loop(fixture->engine, 0), &reader.call, reader_start, &reader);
	for (int i = 0; i < 20; i++)
		assert_true(get(fixture, "/ok").mine);
	nap_ms(50);
	assert_true(kolk__load_acquire(&reader.paused) && !kolk__load_acquire(&reader.done));
	assert_true(kolk__load_acquire(&fixture->server.sent) <= 2 * 100000);
	assert_int_equal(get(fixture, "/big").body_size, BIG); /* another one's */
	kolk_loop_call(kolk_engine_loop(fixture->engine, 0), &reader.call, reader_resume, &reader);
	SOON(kolk__load_acquire(&reader.done));
	assert_int_equal(reader.err, KOLK_OK);
	assert_int_equal(reader.size, BIG);
	assert_int_equal(accepted(fixture), 1);
	fixture_close(fixture);
}

/* The server sends back what comes while it comes, and takes no more while that is stuck. */
static void both_ways_at_once(void **state)
{
	struct fixture *fixture = fixture_open(NULL, 0);
	struct ask what = { .target = "/echo", .method = "POST", .body_size = 12000000,
			    .deadline_ms = 60000 };

	(void)state;
	for (int i = 0; i < 3; i++) {
		struct result result = ask(fixture, &what);

		assert_int_equal(result.err, KOLK_OK);
		assert_int_equal(result.body_size, what.body_size);
	}
	assert_int_equal(accepted(fixture), 1);
	fixture_close(fixture);
}

/* ---- the end */

static void a_close_sends_goaway(void **state)
{
	struct fixture *fixture = fixture_open(NULL, 0);

	(void)state;
	assert_int_equal(get(fixture, "/ok").err, KOLK_OK);
	SOON(kolk_key_has_idle(kolk_pool_key(fixture->pool)));
	assert_int_equal(kolk_pool_clear(fixture->pool), 1);
	SOON(kolk__load_acquire(&fixture->server.goaways) == 1);
	fixture_close(fixture);
}

static void *ask_hold(void *arg)
{
	struct result result = get(arg, "/hold");

	assert_int_equal(result.err, KOLK_E_CANCELLED);
	return NULL;
}

static void closed_with_streams_open(void **state)
{
	struct fixture *fixture = fixture_open(NULL, 0);
	pthread_t thread[8];

	(void)state;
	for (int i = 0; i < 8; i++)
		pthread_create(&thread[i], NULL, ask_hold, fixture);
	nap_ms(100);
	assert_int_equal(kolk_http_close(fixture->http, NULL, NULL), KOLK_OK);
	for (int i = 0; i < 8; i++)
		pthread_join(thread[i], NULL);
	assert_int_equal(kolk_http_open(kolk_engine_loop(fixture->engine, 0), NULL, &fixture->http),
			 KOLK_OK);
	fixture_close(fixture);
}

static void *ask_hold_revoked(void *arg)
{
	struct result result = get(arg, "/hold");

	assert_int_not_equal(result.err, KOLK_OK);
	return NULL;
}

/* Credentials or settings are replaced while streams are open: those go on, no other joins them. */
static void no_stream_joins_a_stale_connection(void **state)
{
	struct fixture *fixture = fixture_open(NULL, 0);
	pthread_t thread;

	(void)state;
	pthread_create(&thread, NULL, ask_hold, fixture);
	nap_ms(50);
	assert_true(get(fixture, "/ok").mine);
	assert_int_equal(accepted(fixture), 1);
	assert_int_equal(kolk_pool_rotate(fixture->pool), 1);
	for (int i = 0; i < 5; i++)
		assert_true(get(fixture, "/ok").mine);
	assert_int_equal(accepted(fixture), 2);
	assert_int_equal(kit_mock_counts(fixture->mock).open, 2);
	assert_int_equal(kolk_http_close(fixture->http, NULL, NULL), KOLK_OK);
	pthread_join(thread, NULL);
	assert_int_equal(kolk_http_open(kolk_engine_loop(fixture->engine, 0), NULL, &fixture->http),
			 KOLK_OK);
	fixture_close(fixture);
}

/* The pool is drained under them: at its deadline the lease is revoked, and every caller gets an
 * error. */
static void drained_with_streams_open(void **state)
{
	struct fixture *fixture = fixture_open(NULL, 0);
	pthread_t thread[8];

	(void)state;
	for (int i = 0; i < 8; i++)
		pthread_create(&thread[i], NULL, ask_hold_revoked, fixture);
	nap_ms(100);
	assert_int_equal(kolk_pool_drain(fixture->pool, kolk_in_ms(100)), KOLK_OK);
	for (int i = 0; i < 8; i++)
		pthread_join(thread[i], NULL);
	SOON(kolk_pool_is_closed(fixture->pool));
	fixture_close(fixture);
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(one_after_the_other),
	cmocka_unit_test(many_threads_on_one_connection),
	cmocka_unit_test(two_loops_share_a_key),
	cmocka_unit_test(what_goaway_excludes_is_sent_again),
	cmocka_unit_test(a_refused_stream_is_sent_again_once),
	cmocka_unit_test(what_may_have_been_done_is_not_sent_again),
	cmocka_unit_test(what_is_replayable_is_sent_again_once),
	cmocka_unit_test(a_flood_ends_the_connection),
	cmocka_unit_test(what_ends_a_connection_is_named),
	cmocka_unit_test(what_the_pool_wills_is_named_so),
	cmocka_unit_test(a_limit_of_no_streams),
	cmocka_unit_test(a_time_out_costs_a_stream_not_the_connection),
	cmocka_unit_test(an_upload_that_stalls),
	cmocka_unit_test(expect_continue),
	cmocka_unit_test(the_peer_speaks_while_it_is_idle),
	cmocka_unit_test(the_peer_leaves_while_it_is_idle),
	cmocka_unit_test(the_pool_pings),
	cmocka_unit_test(a_peer_that_does_not_read),
	cmocka_unit_test(a_slow_reader_stops_the_peer_not_the_others),
	cmocka_unit_test(both_ways_at_once),
	cmocka_unit_test(a_close_sends_goaway),
	cmocka_unit_test(closed_with_streams_open),
	cmocka_unit_test(no_stream_joins_a_stale_connection),
	cmocka_unit_test(drained_with_streams_open),
};
CMOCKA_TESTS(h2_wire, tests);
