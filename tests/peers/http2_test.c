/* SPDX-License-Identifier: Apache-2.0 */
/* http2_test.c - HTTP/2 against nghttpd and nginx. */
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>

#include "core/base/atomic.h"
#include "tests/kit/control.h"
#include "tests/peers/http2.h"

static void note(const char *what, const struct load_result *result, const struct kolk_stats *stats)
{
	tap_note("%s: %" PRIu64 " ok, %" PRIu64 " cancelled, %" PRIu64 " failed (%s), %" PRIu64
		 " foreign, %" PRIu64 " retried, %" PRIu64 " connections",
		 what, result->ok, result->cancelled, result->failed,
		 kolk_err_name(result->last_err), result->foreign, result->retried,
		 stats->created);
}

static struct load *open_h2c(const struct kit_peer *peer, uint32_t connections_max)
{
	struct load_options options = { .address = peer->h2c_address,
					.http.protocols = KOLK_HTTP_2_ONLY,
					.connections_max = connections_max };

	return load_open(&options);
}

static struct load *open_tls(const struct kit_peer *peer, uint32_t connections_max,
			     const char *const *alpn)
{
	struct load_options options = { .address = peer->tls_address, .ca_file = peer->ca_file,
					.alpn = alpn, .connections_max = connections_max };

	return load_open(&options);
}

/* Everything that was asked for came, and was the right thing. */
static void check_all(const struct load_result *result, const struct load_plan *plan, int version)
{
	CHECK(result->ok == plan->requests);
	CHECK(result->version[version] == plan->requests);
	CHECK(result->foreign == 0 && result->bad_status == 0 && result->short_answers == 0);
}

/* 10 000 at once through one key: as many connections as that needs, and not one more. */
static void ten_thousand_at_once(void)
{
	const char *const args[] = { "-m", "100", NULL };
	struct kit_nghttpd_options options = { .args = args };
	struct load_plan plan = { .requests = peers_requests(100000), .at_once = 10000,
				  .target = "/small", .answer_size = 6 };
	struct kit_peer *peer = kit_nghttpd_start(&options);
	struct load_result result;
	struct kolk_stats stats;
	struct load *load;

	if (peer == NULL)
		return;
	load = open_h2c(peer, 200);
	result = load_run(load, &plan);
	stats = load_stats(load);
	note("nghttpd -m 100", &result, &stats);
	check_all(&result, &plan, 2);
	/* Not more, ever; as many when that many were really there at once, which takes a few rounds. */
	CHECK(stats.created <= 100);
	CHECK(stats.created == 100 || plan.requests < 100000);
	load_close(load);
	kit_peer_close(peer);
}

/* The peer allows 7 streams: never more are opened. */
static void the_peer_s_limit(void)
{
	const char *const args[] = { "-m", "7", NULL };
	struct kit_nghttpd_options options = { .args = args };
	struct load_plan plan = { .requests = peers_requests(20000), .at_once = 70,
				  .target = "/small", .answer_size = 6 };
	struct kit_peer *peer = kit_nghttpd_start(&options);
	struct load_result result;
	struct kolk_stats stats;
	struct load *load;

	if (peer == NULL)
		return;
	load = open_h2c(peer, 100);
	result = load_run(load, &plan);
	stats = load_stats(load);
	note("nghttpd -m 7", &result, &stats);
	check_all(&result, &plan, 2);
	CHECK(stats.created == 10);
	load_close(load);
	kit_peer_close(peer);
}

/* ALPN decides; the same pool options serve both protocols. */
static void alpn_decides(void)
{
	static const char *const only_1[] = { "http/1.1", NULL };
	struct kit_nginx_options options = { .tls = true, .http2 = true };
	struct load_plan plan = { .requests = 500, .at_once = 10, .target = "/small",
				  .answer_size = 6 };
	struct kit_peer *peer = kit_nginx_start(&options);
	struct load_result result;
	struct kolk_stats stats;
	struct load *load;

	if (peer == NULL)
		return;
	load = open_tls(peer, 10, NULL);
	result = load_run(load, &plan);
	stats = load_stats(load);
	note("h2", &result, &stats);
	check_all(&result, &plan, 2);
	CHECK(stats.created == 1);
	load_close(load);
	load = open_tls(peer, 10, only_1);
	result = load_run(load, &plan);
	stats = load_stats(load);
	note("http/1.1", &result, &stats);
	check_all(&result, &plan, 1);
	CHECK(stats.created <= 10);
	load_close(load);
	kit_peer_close(peer);
}

/* The server speaks HTTP/1.1 alone: a pool that offers both falls back. */
static void falls_back(void)
{
	struct kit_nginx_options options = { .tls = true };
	struct load_plan plan = { .requests = 500, .at_once = 10, .target = "/small",
				  .answer_size = 6 };
	struct kit_peer *peer = kit_nginx_start(&options);
	struct load_result result;
	struct load *load;

	if (peer == NULL)
		return;
	load = open_tls(peer, 10, NULL);
	result = load_run(load, &plan);
	check_all(&result, &plan, 1);
	load_close(load);
	kit_peer_close(peer);
}

/* ---- every answer is its request's */

static void nonces(const char *what, struct load *load, uint64_t requests)
{
	struct load_plan plan = { .requests = requests, .at_once = 200, .target = "/echo?n=%s",
				  .nonce = true, .cancel_percent = 30 };
	struct load_result result = load_run(load, &plan);
	struct kolk_stats stats = load_stats(load);

	note(what, &result, &stats);
	CHECK(result.foreign == 0 && result.failed == 0 && result.bad_status == 0 &&
	      result.short_answers == 0);
	CHECK(result.ok + result.cancelled == requests);
	CHECK(result.cancelled > requests / 50 && result.version[2] > requests / 2);
}

static void nonces_and_cancels(void)
{
	struct kit_nginx_options options = { .tls = true, .http2 = true };
	struct kit_peer *peer = kit_nginx_start(&options);
	struct load *load;

	if (peer == NULL)
		return;
	load = open_h2c(peer, 10);
	nonces("h2c", load, peers_requests(200000));
	load_close(load);
	load = open_tls(peer, 10, NULL);
	nonces("TLS", load, peers_requests(20000));
	load_close(load);
	kit_peer_close(peer);
}

/* ---- connections that the peer ends */

struct reloader {
	struct kit_peer *peer;
	kolk__atomic_bool done;
	int count, failed;
	pthread_t thread;
};

static void *reload(void *arg)
{
	struct reloader *reloader = arg;

	while (!kolk__load_acquire(&reloader->done)) {
		uint64_t until_ms = tap_now_ms() + 300;

		while (!kolk__load_acquire(&reloader->done) && tap_now_ms() < until_ms)
			tap_nap();
		reloader->failed += !kit_nginx_reload(reloader->peer, NULL);
		reloader->count++;
	}
	return NULL;
}

static void ended_connections(const char *what, struct kit_peer *peer, uint64_t requests,
			      bool reloads)
{
	struct load_plan plan = { .requests = requests, .at_once = 60, .target = "/small",
				  .answer_size = 6 };
	struct reloader reloader = { .peer = peer };
	struct load *load = open_h2c(peer, 20);
	struct load_result result;
	struct kolk_stats stats;

	if (reloads)
		pthread_create(&reloader.thread, NULL, reload, &reloader);
	result = load_run(load, &plan);
	if (reloads) {
		kolk__store_release(&reloader.done, true);
		pthread_join(reloader.thread, NULL);
		tap_note("%d reloads", reloader.count);
		CHECK(reloader.count > 0 && reloader.failed == 0);
	}
	stats = load_stats(load);
	note(what, &result, &stats);
	check_all(&result, &plan, 2);
	load_close(load);
}

/* nginx says GOAWAY at the third request of every connection. */
static void three_requests_each(void)
{
	struct kit_nginx_options options = { .http2 = true, .keepalive_requests = 3 };
	struct kit_peer *peer = kit_nginx_start(&options);

	if (peer == NULL)
		return;
	ended_connections("keepalive_requests 3", peer, peers_requests(50000), false);
	ended_connections("and reloads", peer, peers_requests(50000), true);
	kit_peer_close(peer);
}

static void reloads_under_load(void)
{
	struct kit_nginx_options options = { .http2 = true };
	struct kit_peer *peer = kit_nginx_start(&options);

	if (peer == NULL)
		return;
	ended_connections("reloads", peer, peers_requests(100000), true);
	kit_peer_close(peer);
}

/* ---- bodies */

static void bodies(void)
{
	struct kit_nginx_options options = { .tls = true, .http2 = true };
	struct load_plan down = { .requests = 40, .at_once = 8, .target = "/bytes/10000000",
				  .answer_size = 10000000 };
	struct load_plan up = { .requests = 60, .at_once = 8, .target = "/sink", .method = "POST",
				.body_size = 3000000 };
	struct kit_peer *peer = kit_nginx_start(&options);
	struct load_result result;
	struct load *load;

	if (peer == NULL)
		return;
	load = open_h2c(peer, 2);
	result = load_run(load, &down);
	check_all(&result, &down, 2);
	result = load_run(load, &up);
	check_all(&result, &up, 2);
	CHECK(result.body_bytes == 60 * 7); /* "3000000" */
	load_close(load);
	load = open_tls(peer, 2, NULL);
	down.requests = 8;
	result = load_run(load, &down);
	check_all(&result, &down, 2);
	up.requests = 8;
	result = load_run(load, &up);
	check_all(&result, &up, 2);
	load_close(load);
	kit_peer_close(peer);
}

/* ---- servers as they are need next to none of the budget for frames that bring nothing */

static void on_a_small_budget(const char *what, const struct kit_peer *peer,
			      const struct load_plan *plan)
{
	struct load_options options = { .address = peer->h2c_address, .connections_max = 2,
					.http = { .protocols = KOLK_HTTP_2_ONLY,
						  .frames_max = 20 } };
	struct load *load = load_open(&options);
	struct load_result result = load_run(load, plan);
	struct kolk_stats stats = load_stats(load);

	note(what, &result, &stats);
	CHECK(result.failed == 0 && result.ok + result.cancelled == plan->requests);
	CHECK(stats.destroyed[KOLK_REASON_FLOOD] == 0);
	load_close(load);
}

static void no_flood(void)
{
	const struct load_plan small = { .requests = 5000, .at_once = 50, .target = "/small" };
	const struct load_plan up = { .requests = 16, .at_once = 8, .target = "/sink",
				      .method = "POST", .body_size = 3000000 };
	const struct load_plan given_up = { .requests = 300, .at_once = 50, .cancel_percent = 50,
					    .target = "/bytes/1000000" };
	struct kit_nginx_options nginx = { .http2 = true };
	struct kit_peer *peer = kit_nginx_start(&nginx);

	if (peer == NULL)
		return;
	on_a_small_budget("nginx, small", peer, &small);
	on_a_small_budget("nginx, up", peer, &up);
	on_a_small_budget("nginx, given up", peer, &given_up);
	kit_peer_close(peer);
}

/* ---- a peer that is gone without a word */

static void a_black_hole(void)
{
	struct load_options options = { .http = { .protocols = KOLK_HTTP_2_ONLY,
						  .ping_interval_ns = 500 * KOLK_MS_NS,
						  .ping_timeout_ns = 500 * KOLK_MS_NS } };
	struct load_plan plan = { .requests = 100, .at_once = 100, .target = "/small" };
	struct kit_nghttpd_options nghttpd = { .tls = false };
	struct kit_peer *peer = kit_nghttpd_start(&nghttpd);
	struct load_result result;
	struct kit_control control;
	struct load *load;
	uint32_t took_ms;

	if (peer == NULL)
		return;
	options.address = peer->h2c_address;
	load = load_open(&options);
	result = load_run(load, &plan);
	CHECK(result.ok == 100);
	kit_peer_freeze(peer);
	kit_control_begin(&control);
	result = load_run(load, &plan);
	took_ms = kit_control_end(&control);
	CHECK(result.failed == 100 && result.last_err == KOLK_E_CLOSED);
	CHECK(took_ms < 3000);
	tap_note("noticed after %" PRIu32 " ms", took_ms);
	kit_peer_thaw(peer);
	result = load_run(load, &plan);
	CHECK(result.ok == 100);
	load_close(load);
	kit_peer_close(peer);
}

static const struct tap_test tests[] = {
	{ "10 000 at once take 100 connections", ten_thousand_at_once },
	{ "the peer's limit of streams", the_peer_s_limit },
	{ "ALPN decides", alpn_decides },
	{ "falls back to HTTP/1.1", falls_back },
	{ "nonces, 30 % cancelled", nonces_and_cancels },
	{ "three requests on each connection", three_requests_each },
	{ "reloads under load", reloads_under_load },
	{ "bodies, up and down", bodies },
	{ "honest servers are no flood", no_flood },
	{ "a black hole is noticed", a_black_hole },
};
TAP_TESTS(http2, tests);
