/* SPDX-License-Identifier: Apache-2.0 */
/* listen_tls_load_test.c - listeners that speak TLS: tickets, new certificates, slow and many clients. */
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "tests/wire/listen_tls.h"

/* ---- tickets, and new certificates */

static void resume(struct secure *s, const char *version)
{
	struct kolk_failure failure = KOLK_INIT(kolk_failure);
	char arguments[256];

	snprintf(arguments, sizeof arguments, "%s -sess_out %s.session", version, s->certs.crl);
	if (*secure_openssl(s, arguments) == 0)
		return;
	snprintf(arguments, sizeof arguments, "%s -sess_in %s.session", version, s->certs.crl);
	for (int i = 0; i < 4; i++) /* on whichever loop it comes */
		CHECK(secure_says(secure_openssl(s, arguments), "Reused"));
	CHECK_ERR(kolk_listener_tls_set(s->l.listener, &s->tls, &failure), KOLK_OK);
	CHECK(secure_says(secure_openssl(s, arguments), "New, TLS"));
	snprintf(arguments, sizeof arguments, "%s.session", s->certs.crl);
	unlink(arguments);
}

static void tickets(void)
{
	struct secure s;

	MUST(secure_prepare(&s));
	s.l.conduct = FAREWELL;
	MUST(secure_open(&s));
	resume(&s, "-tls1_2");
	if (secure_speaks_13())
		resume(&s, "-tls1_3");
	secure_close(&s);
}

static void bad_certificates_change_nothing(void)
{
	struct kolk_failure failure = KOLK_INIT(kolk_failure);
	struct kolk_listener *plain;
	struct kolk_tls_options client;
	struct secure s;

	MUST(secure_prepare(&s) && secure_open(&s));
	client = secure_client(&s);
	s.own[1].key_file = s.certs.first.key;
	CHECK_ERR(kolk_listener_tls_set(s.l.listener, &s.tls, &failure), KOLK_E_OPTIONS);
	CHECK(strcmp(failure.field, "key_file") == 0);
	s.own[1].key_file = "/nonexistent";
	CHECK_ERR(kolk_listener_tls_set(s.l.listener, &s.tls, &failure), KOLK_E_TLS);
	CHECK_ERR(kolk_listener_tls_set(s.l.listener, NULL, NULL), KOLK_E_OPTIONS);
	CHECK_ERR(secure_ask(&s, &client), KOLK_OK);
	plain = s.l.listener;
	CHECK_ERR(listening_add(&s.l, NULL, NULL), KOLK_OK);
	CHECK_ERR(kolk_listener_tls_set(s.l.listener, &s.tls, NULL), KOLK_E_OPTIONS);
	s.l.listener = plain;
	secure_close(&s);
}

struct load {
	struct kolk_pool *pool;
	bool dials; /* for each request */
	bool may_fail;
	kolk__atomic_u32 *stop;
	kolk__atomic_u64 *asked;
};

static void *load_run(void *arg)
{
	struct load *load = arg;
	struct kolk_lease lease;

	while (!kolk__load_relaxed(load->stop)) {
		enum kolk_err err = kolk_acquire(kolk_pool_key(load->pool),
						 kolk_in_ms(load->may_fail ? 20 : 10000), &lease);

		if (err != KOLK_OK && load->may_fail)
			continue;
		if (!CHECK_ERR(err, KOLK_OK))
			break;
		err = wire_exchange(&lease, "under load\n");
		CHECK(err == KOLK_OK || load->may_fail);
		kolk__add_relaxed(load->asked, 1);
		CHECK_ERR(load->dials ? kolk_discard(&lease) : kolk_release(&lease), KOLK_OK);
		tap_nap();
	}
	return NULL;
}

/* Two certificates in turn, for the same name: clients that are there notice nothing, clients that
 * come get the one or the other. */
static void new_certificates_under_load(void)
{
	enum { THREADS = 4, CHANGES = 100, HANDSHAKES = 40 };
	uint64_t until_ms = tap_now_ms() + 20000;
	int turns = 0;
	kolk__atomic_u32 stop = { 0 };
	kolk__atomic_u64 asked = { 0 };
	struct kolk_tls_options client;
	struct kolk_stats stats;
	struct load load[2];
	pthread_t threads[THREADS];
	struct secure s;

	MUST(secure_prepare(&s) && secure_open(&s));
	client = secure_client(&s);
	for (int i = 0; i < 2; i++)
		load[i] = (struct load){ secure_pool(&s, &client), i == 1, false, &stop, &asked };
	for (int i = 0; i < THREADS; i++)
		MUST(pthread_create(&threads[i], NULL, load_run, &load[i % 2]) == 0);
	for (; turns < CHANGES || (listening_stats(&s.l).accepted < HANDSHAKES && tap_now_ms() < until_ms);
	     turns++) {
		s.tls.certificate_count = turns % 2 == 0 ? 1 : 3;
		CHECK_ERR(kolk_listener_tls_set(s.l.listener, &s.tls, NULL), KOLK_OK);
		usleep(3000);
	}
	kolk__store_relaxed(&stop, 1);
	for (int i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	stats = wire_stats(load[0].pool);
	CHECK(stats.created <= THREADS / 2);
	tap_note("%llu requests, %llu handshakes, %d changes",
		 (unsigned long long)kolk__load_relaxed(&asked),
		 (unsigned long long)listening_stats(&s.l).accepted, turns);
	CHECK(listening_stats(&s.l).handshake_failed == 0);
	secure_pool_end(load[0].pool);
	secure_pool_end(load[1].pool);
	secure_close(&s);
}

/* ---- slow, and many */

static void slow_handshakes_end(void)
{
	enum { CLIENTS = 20 };
	static const uint8_t hello[] = { 0x16, 3, 1, 2, 0, 1, 0, 1, 0xfc, 3, 3 };
	struct kolk_tls_options client;
	struct secure s;
	int fd[CLIENTS];

	MUST(secure_prepare(&s));
	s.o.handshake_timeout_ns = 700 * KOLK_MS_NS;
	s.o.handshakes_max = 2;
	MUST(secure_open(&s));
	client = secure_client(&s);
	for (int i = 0; i < CLIENTS; i++) {
		fd[i] = client_dial(secure_address(&s));
		CHECK(client_send(fd[i], hello, (size_t)i % (sizeof hello + 1)));
	}
	CHECK_ERR(secure_ask(&s, &client), KOLK_OK); /* the others do not wait for them */
	for (size_t i = 0; i < sizeof hello && client_send(fd[0], hello + i, 1); i++)
		usleep(20000);
	CHECK(WITHIN_MS(5000, listening_stats(&s.l).handshake_timeout == CLIENTS));
	for (int i = 0; i < CLIENTS; i++) {
		CHECK(client_next(fd[i]) == -ECONNRESET || i == 0); /* a send of it was told */
		close(fd[i]);
	}
	CHECK(WITHIN_MS(5000, listening_stats(&s.l).streams == 0));
	CHECK(listening_stats(&s.l).handshakes == 0 && listening_stats(&s.l).handshake_failed == 0);
	secure_close(&s);
}

/* More than may be on workers. */
static void many_at_once(void)
{
	enum { THREADS = 24, HANDSHAKES = 150 };
	kolk__atomic_u32 stop = { 0 };
	kolk__atomic_u64 asked = { 0 };
	struct kolk_tls_options client;
	struct load load;
	pthread_t threads[THREADS];
	struct secure s;

	MUST(secure_prepare(&s));
	s.o.handshakes_max = 1;
	MUST(secure_open(&s));
	client = secure_client(&s);
	client.resume_off = 1;
	load = (struct load){ secure_pool(&s, &client), true, false, &stop, &asked };
	for (int i = 0; i < THREADS; i++)
		MUST(pthread_create(&threads[i], NULL, load_run, &load) == 0);
	CHECK(WITHIN_MS(30000, kolk__load_relaxed(&asked) >= HANDSHAKES));
	kolk__store_relaxed(&stop, 1);
	for (int i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	CHECK(listening_stats(&s.l).handshake_failed == 0);
	secure_pool_end(load.pool);
	secure_close(&s);
}

/* Handshakes wait for workers, are on them, and wait for their peers. */
static void closes_after(unsigned ms)
{
	enum { THREADS = 12 };
	kolk__atomic_u32 stop = { 0 };
	kolk__atomic_u64 asked = { 0 };
	struct kolk_tls_options client;
	pthread_t threads[THREADS];
	struct load load;
	struct secure s;

	MUST(secure_prepare(&s));
	s.o.handshakes_max = 2;
	MUST(secure_open(&s));
	client = secure_client(&s);
	client.resume_off = 1;
	load = (struct load){ secure_pool(&s, &client), true, true, &stop, &asked };
	for (int i = 0; i < THREADS; i++)
		MUST(pthread_create(&threads[i], NULL, load_run, &load) == 0);
	CHECK(WITHIN_MS(10000, listening_stats(&s.l).handshakes >= 4));
	usleep(ms * 1000);
	/* A step of a handshake that is on a worker has to end first. */
	CHECK(WITHIN_MS(10000, kolk_listener_close(s.l.listener, 0, NULL, NULL) == KOLK_OK));
	kolk__store_relaxed(&stop, 1);
	for (int i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	secure_pool_end(load.pool);
	secure_close(&s);
}

static void the_listener_closes(void)
{
	for (unsigned ms = 0; ms < 10; ms++)
		closes_after(ms * 3);
}

/* ---- descriptors */

static uint64_t cpu_ms(void)
{
	struct timespec time;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
	return (uint64_t)time.tv_sec * 1000 + (uint64_t)time.tv_nsec / 1000000;
}

/* Neither an accept nor a dial has one: what is there goes on, a dial is refused with the reason, the
 * loop does not run in circles, and all is well when there are some again. */
static void out_of_descriptors(void)
{
	struct kolk_tls_options client;
	struct kolk_pool *pool, *other;
	struct rlimit limit, none;
	struct secure s;
	uint64_t before_ms;
	int fd;

	MUST(secure_prepare(&s) && secure_open(&s));
	client = secure_client(&s);
	pool = secure_pool(&s, &client);
	other = secure_pool(&s, &client);
	CHECK_ERR(wire_request(kolk_pool_key(pool), "question\n"), KOLK_OK);
	fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	MUST(getrlimit(RLIMIT_NOFILE, &limit) == 0);
	/* Three are in use for good; with a limit of 0, poll(2) takes no descriptor at all. */
	none = (struct rlimit){ 3, limit.rlim_max };
	CHECK(setrlimit(RLIMIT_NOFILE, &none) == 0);
	CHECK(client_connect(fd, secure_address(&s)));
	CHECK(WITHIN_MS(5000, listening_stats(&s.l).accept_errors > 0));
	CHECK(WITHIN_MS(5000, listening_stats(&s.l).paused > 0));
	before_ms = cpu_ms();
	usleep(400000);
	CHECK(cpu_ms() - before_ms < 200);
	CHECK_ERR(wire_request(kolk_pool_key(pool), "question\n"), KOLK_OK);
	CHECK_ERR(wire_request(kolk_pool_key(other), "question\n"), KOLK_E_FILES);
	CHECK(listening_stats(&s.l).handshakes == 0);
	CHECK(setrlimit(RLIMIT_NOFILE, &limit) == 0);
	CHECK(WITHIN_MS(5000, listening_stats(&s.l).handshakes == 1));
	CHECK(WITHIN_MS(5000, listening_stats(&s.l).paused == 0));
	CHECK(WITHIN_MS(5000, wire_request(kolk_pool_key(other), "question\n") == KOLK_OK));
	close(fd);
	CHECK(WITHIN_MS(5000, listening_stats(&s.l).handshake_failed == 1));
	secure_pool_end(pool);
	secure_pool_end(other);
	secure_close(&s);
}

static const struct tap_test tests[] = {
	{ "tickets", tickets },
	{ "bad certificates change nothing", bad_certificates_change_nothing },
	{ "new certificates under load", new_certificates_under_load },
	{ "slow handshakes end", slow_handshakes_end },
	{ "many handshakes at once", many_at_once },
	{ "the listener closes in the middle of handshakes", the_listener_closes },
	{ "out of descriptors, and back", out_of_descriptors },
};
TAP_TESTS(listen_tls_load, tests);
