/* SPDX-License-Identifier: Apache-2.0 */
/* peer_test.c - peers that close, reset, stay silent, send unsolicited data, or are not there. */
#include <kolk/sys/sys.h>

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/kit/control.h"
#include "tests/wire/wire.h"

static void idle_gone(bool reset)
{
	struct wire w = { 0 };
	struct kolk_pool_options o = KOLK_INIT(kolk_pool_options);
	enum kolk_reason reason = reset ? KOLK_REASON_PEER_RESET : KOLK_REASON_PEER_CLOSED;

	o.connections_max = 8;
	o.idle_min = 8;
	MUST(wire_origin(&w, NULL) && wire_engine(&w, NULL) && wire_pool(&w, &o));
	CHECK_ERR(kolk_pool_warm(w.pool, kolk_in_ms(3000)), KOLK_OK);
	kit_origin_hang_up(w.origin, reset);
	/* There is no acquire: the watch alone takes them out of the idle list. */
	CHECK(WITHIN_MS(1000, wire_stats(w.pool).destroyed[reason] == 8));
	CHECK(wire_stats(w.pool).stale_discarded == 8);
	for (int i = 0; i < 20; i++)
		CHECK_ERR(wire_request(w.key, "hello\n"), KOLK_OK);
	wire_close(&w);
}

static void fin_while_idle(void)
{
	idle_gone(false);
}

static void rst_while_idle(void)
{
	idle_gone(true);
}

/* Answer, then misbehave: the connection must not be used again, the next request works. */
static void after_each_answer(enum kit_behaviour behaviour)
{
	struct kit_origin_options origin = { .behaviour = behaviour, .after = 1 };
	struct wire w = { 0 };

	MUST(wire_origin(&w, &origin) && wire_engine(&w, NULL) && wire_pool(&w, NULL));
	for (uint64_t i = 0; i < 50; i++) {
		CHECK_ERR(wire_request(w.key, "hello\n"), KOLK_OK);
		CHECK(behaviour == KIT_HALF_CLOSE ||
		      WITHIN_MS(5000, kit_origin_counts(w.origin).ended > i));
		usleep(4000); /* what the peer did has arrived */
	}
	CHECK(wire_stats(w.pool).created >= 50);
	wire_close(&w);
}

static void closes_after_answer(void)
{
	after_each_answer(KIT_CLOSE);
}

static void resets_after_answer(void)
{
	after_each_answer(KIT_RESET);
}

static void half_closes(void)
{
	after_each_answer(KIT_HALF_CLOSE);
}

/* Unsolicited bytes after the release: no reader may ever see them. */
static void sends_unsolicited(void)
{
	struct kit_origin_options origin = { .behaviour = KIT_JUNK, .after = 1 };
	struct wire w = { 0 };
	struct kolk_lease lease;
	uint64_t unsolicited = 1;
	enum kolk_err err;
	int wrong = 0;

	MUST(wire_origin(&w, &origin) && wire_engine(&w, NULL) && wire_pool(&w, NULL));
	/* While it is leased: the release finds them. */
	CHECK_ERR(kolk_acquire(w.key, 0, &lease), KOLK_OK);
	CHECK_ERR(wire_exchange(&lease, "one\n"), KOLK_OK);
	usleep(20000);
	CHECK_ERR(kolk_release(&lease), KOLK_OK);
	CHECK(WITHIN_MS(1000, wire_stats(w.pool).destroyed[KOLK_REASON_PEER_DATA] == 1));
	for (int i = 0; i < 30; i++) {
		err = wire_request(w.key, "two\n");
		CHECK(err == KOLK_OK || err == KOLK_E_CLOSED); /* never another caller's */
		wrong += err != KOLK_OK;
		if (err == KOLK_OK)
			unsolicited++;
		CHECK(WITHIN_MS(5000, kit_origin_counts(w.origin).unsolicited >= unsolicited));
	}
	tap_note("%d of 30 sends were refused: bytes had come while their connection was idle", wrong);
	wire_close(&w);
}

static void closes_while_leased(void)
{
	struct wire w = { 0 };
	struct kolk_lease lease;
	char byte;
	size_t size;

	MUST(wire_open(&w));
	CHECK_ERR(kolk_acquire(w.key, 0, &lease), KOLK_OK);
	kit_origin_hang_up(w.origin, false);
	CHECK_ERR(kolk_recv(&lease, &byte, 1, kolk_in_ms(1000), &size), KOLK_E_CLOSED);
	CHECK_ERR(kolk_release(&lease), KOLK_OK);
	CHECK(WITHIN_MS(1000, wire_stats(w.pool).created >= 1));
	CHECK_ERR(wire_request(w.key, "hello\n"), KOLK_OK);
	wire_close(&w);
}

static void silent(void)
{
	struct kit_origin_options origin = { .behaviour = KIT_SILENT };
	struct wire w = { 0 };
	struct kolk_lease lease;
	char byte;
	size_t size;

	MUST(wire_origin(&w, &origin) && wire_engine(&w, NULL) && wire_pool(&w, NULL));
	CHECK_ERR(kolk_acquire(w.key, 0, &lease), KOLK_OK);
	CHECK_ERR(kolk_send_all(&lease, "x\n", 2, kolk_in_ms(1000)), KOLK_OK);
	CHECK_ERR(kolk_recv(&lease, &byte, 1, kolk_in_ms(50), &size), KOLK_E_TIMEOUT);
	CHECK_ERR(kolk_release(&lease), KOLK_OK); /* an answer is owed: closed */
	CHECK(WITHIN_MS(1000, wire_stats(w.pool).destroyed[KOLK_REASON_IO_ERROR] == 1));
	wire_close(&w);
}

static void refused(void)
{
	struct wire w = { 0 };
	struct kolk_pool_options o = KOLK_INIT(kolk_pool_options);
	struct kolk_failure failure = KOLK_INIT(kolk_failure);

	o.address = "127.0.0.1:1";
	MUST(wire_engine(&w, NULL) && wire_pool(&w, &o));
	CHECK_ERR(wire_request(w.key, "hello\n"), KOLK_E_CONN_REFUSED);
	CHECK(kolk_key_failure(w.key, &failure));
	CHECK(failure.phase == KOLK_PHASE_CONNECT && failure.os_error == ECONNREFUSED);
	CHECK(failure.err_class == KOLK_CLASS_LATER);
	wire_close(&w);
}

static void unknown_host(void)
{
	struct wire w = { 0 };
	struct kolk_pool_options o = KOLK_INIT(kolk_pool_options);

	o.address = "no-such-host.invalid:80";
	MUST(wire_engine(&w, NULL) && wire_pool(&w, &o));
	CHECK_ERR(wire_request(w.key, "hello\n"), KOLK_E_RESOLVE);
	wire_close(&w);
}

/* A listener whose queue is full drops SYNs: the dial must end by its own deadline. */
static void black_hole(void)
{
	struct wire w = { 0 };
	struct kolk_pool_options o = KOLK_INIT(kolk_pool_options);
	struct kolk_failure failure = KOLK_INIT(kolk_failure);
	struct sockaddr_in address = { .sin_family = AF_INET,
				       .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t size = sizeof address;
	int listener = socket(AF_INET, SOCK_STREAM, 0), filler[4];
	struct kit_control control;
	uint64_t began;

	MUST(bind(listener, (struct sockaddr *)&address, size) == 0);
	MUST(listen(listener, 0) == 0);
	getsockname(listener, (struct sockaddr *)&address, &size);
	for (int i = 0; i < 4; i++) {
		filler[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
		(void)!connect(filler[i], (struct sockaddr *)&address, size);
	}
	usleep(20000);
	snprintf(w.address, sizeof w.address, "127.0.0.1:%u", ntohs(address.sin_port));
	o.connect_timeout_ns = 100 * KOLK_MS_NS;
	MUST(wire_engine(&w, NULL) && wire_pool(&w, &o));
	began = tap_now_ms();
	kit_control_begin(&control);
	CHECK_ERR(wire_request(w.key, "hello\n"), KOLK_E_DIAL_TIMEOUT);
	CHECK(kit_control_end(&control) < 400);
	CHECK(tap_now_ms() - began >= 100);
	CHECK(kolk_key_failure(w.key, &failure) && failure.phase == KOLK_PHASE_CONNECT);
	wire_close(&w);
	for (int i = 0; i < 4; i++)
		close(filler[i]);
	close(listener);
}

static void unix_socket(void)
{
	char address[64];
	struct kit_origin_options origin = { .unix_path = address + strlen("unix:") };
	struct wire w = { 0 };
	struct kolk_pool_options o = KOLK_INIT(kolk_pool_options);

	snprintf(address, sizeof address, "unix:/tmp/kolk-peer-%d.sock", (int)getpid());
	o.address = address;
	MUST(wire_origin(&w, &origin) && wire_engine(&w, NULL) && wire_pool(&w, &o));
	CHECK_ERR(wire_request(w.key, "hello\n"), KOLK_OK);
	CHECK_ERR(wire_request(w.key, "again\n"), KOLK_OK);
	wire_close(&w);
}

static void by_name(void)
{
	struct wire w = { 0 };
	struct kolk_pool_options o = KOLK_INIT(kolk_pool_options);
	char address[64];

	MUST(wire_origin(&w, NULL) && wire_engine(&w, NULL));
	snprintf(address, sizeof address, "localhost:%u", kit_origin_port(w.origin));
	o.address = address;
	MUST(wire_pool(&w, &o));
	CHECK_ERR(wire_request(w.key, "hello\n"), KOLK_OK);
	wire_close(&w);
}

/* The descriptor of ours that leads to this port, or -1. */
static int socket_to(uint16_t port)
{
	struct sockaddr_in peer;

	for (int fd = 3; fd < 1024; fd++) {
		socklen_t size = sizeof peer;

		if (getpeername(fd, (struct sockaddr *)&peer, &size) == 0 &&
		    peer.sin_family == AF_INET && ntohs(peer.sin_port) == port)
			return fd;
	}
	return -1;
}

static int tcp_option(int fd, int name)
{
	int value = -1;
	socklen_t size = sizeof value;

	return getsockopt(fd, IPPROTO_TCP, name, &value, &size) == 0 ? value : -1;
}

struct tcp_times {
	int idle_s, interval_s, user_ms;
};

static struct tcp_times times_of(uint64_t keepalive_ns, uint64_t unacked_ns)
{
	struct kolk_pool_options o = KOLK_INIT(kolk_pool_options);
	struct tcp_times times = { 0 };
	struct kolk_lease lease;
	struct wire w = { 0 };
	int fd;

	o.keepalive_ns = keepalive_ns;
	o.unacked_ns = unacked_ns;
	if (!CHECK(wire_origin(&w, NULL) && wire_engine(&w, NULL) && wire_pool(&w, &o)) ||
	    !CHECK_ERR(kolk_acquire(w.key, kolk_in_ms(3000), &lease), KOLK_OK))
		return times;
	fd = socket_to(kit_origin_port(w.origin));
	CHECK(tcp_option(fd, TCP_NODELAY) == 1);
	times = (struct tcp_times){ tcp_option(fd, TCP_KEEPIDLE), tcp_option(fd, TCP_KEEPINTVL),
				    tcp_option(fd, TCP_USER_TIMEOUT) };
	CHECK_ERR(kolk_release(&lease), KOLK_OK);
	wire_close(&w);
	return times;
}

/* The kernel ends an idle connection when a probe is unanswered and the user time-out has passed:
 * several are sent before that. */
static void socket_options(void)
{
	struct tcp_times times = times_of(0, 0);

	CHECK(times.user_ms == 20000);
	CHECK(1000 * (times.idle_s + 4 * times.interval_s) < times.user_ms);
	times = times_of(5 * KOLK_S_NS, 60 * KOLK_S_NS);
	CHECK(times.idle_s >= 3 && times.idle_s <= 5 && times.user_ms == 60000);
	CHECK(1000 * (times.idle_s + 4 * times.interval_s) < times.user_ms);
	times = times_of(0, KOLK_FOREVER); /* its probes are counted */
	CHECK(times.idle_s >= 30 && times.idle_s <= 60 && times.user_ms == 0);
}

/* Of a client that speaks first the kernel does not acknowledge the connection by itself. */
static void first_bytes_acknowledge(void)
{
	const struct kolk_sys *sys = kolk_sys_linux();

	for (uint32_t speaks_first = 0; speaks_first < 2; speaks_first++) {
		const struct kolk_sock_options options = { .keepalive_ns = KOLK_FOREVER,
							   .unacked_ns = KOLK_FOREVER,
							   .speaks_first = speaks_first };
		int fd = sys->sock_open(sys->context, AF_INET, &options);

		CHECK(tcp_option(fd, TCP_QUICKACK) == (speaks_first == 0));
		sys->sock_close(sys->context, fd);
	}
}

static kolk__atomic_u32 acknowledged;

static void count_acknowledged(void *context, int fd)
{
	kolk_sys_linux()->sock_acknowledge(context, fd);
	kolk__add_relaxed(&acknowledged, 1);
	CHECK(tcp_option(fd, TCP_QUICKACK) == 1);
}

struct asking {
	struct kolk_pool *pool;
	struct kolk_key *key;
	struct kolk_call call;
	struct kolk_acquire acquire;
	struct kolk_lease lease;
	kolk__atomic_bool ended;
};

static void lease_came(void *user, enum kolk_err err, const struct kolk_lease *lease)
{
	struct asking *asking = user;

	CHECK_ERR(err, KOLK_OK);
	asking->lease = *lease;
	kolk__store_release(&asking->ended, true);
}

static void ask(struct kolk_call *call, void *user)
{
	struct asking *asking = user;

	(void)call;
	CHECK_ERR(kolk_acquire_async(kolk_loop_current(), asking->key, kolk_in_ms(10000),
				     &asking->acquire, lease_came, asking), KOLK_PENDING);
}

/* Lease all four, one after the other, and send nothing. */
static void use_all(struct kolk_key *key)
{
	struct kolk_lease leases[4];

	for (int i = 0; i < 4; i++)
		CHECK_ERR(kolk_acquire(key, kolk_in_ms(10000), &leases[i]), KOLK_OK);
	for (int i = 0; i < 4; i++)
		CHECK_ERR(kolk_release(&leases[i]), KOLK_OK);
}

static const struct kolk_driver speaking = {
	.size = (uint32_t)sizeof speaking, .name = "speaking", .speaks_first = 1 };

/* But of one that nobody waits for: a server that ends without having accepted it would end
 * unheard, and a request would find out. */
static void made_ahead_is_acknowledged(void)
{
	struct kolk_engine_options e = KOLK_INIT(kolk_engine_options);
	struct kolk_pool_options o = KOLK_INIT(kolk_pool_options);
	struct kolk_sys sys = *kolk_sys_linux();
	struct asking asking = { .key = NULL };
	struct wire w = { 0 };

	sys.sock_acknowledge = count_acknowledged;
	e.sys = &sys;
	o.driver = &speaking;
	o.idle_min = 1;
	kolk__store_relaxed(&acknowledged, 0);
	MUST(wire_origin(&w, NULL) && wire_engine(&w, &e) && wire_pool(&w, &o));
	asking.key = w.key;
	CHECK_ERR(kolk_loop_call(kolk_engine_loop(w.engine, 0), &asking.call, ask, &asking),
		  KOLK_OK);
	CHECK(WITHIN_MS(10000, kolk__load_acquire(&asking.ended)));
	CHECK(kolk__load_relaxed(&acknowledged) == 0);
	CHECK_ERR(kolk_release(&asking.lease), KOLK_OK); /* nothing was sent on it */
	CHECK(kolk__load_relaxed(&acknowledged) == 1);
	o.name = "wire";
	o.idle_min = 4;
	o.address = w.address;
	CHECK_ERR(kolk_pool_update(w.pool, &o), KOLK_OK);
	CHECK_ERR(kolk_pool_warm(w.pool, kolk_in_ms(10000)), KOLK_OK);
	CHECK(WITHIN_MS(10000, kolk__load_relaxed(&acknowledged) == 4));
	use_all(w.key);
	CHECK(kolk__load_relaxed(&acknowledged) == 4); /* once is enough */
	wire_close(&w);
}

/* What a lease sends acknowledges its connection: its release makes no system call for that. */
static void one_that_was_used_is_acknowledged(void)
{
	struct kolk_engine_options e = KOLK_INIT(kolk_engine_options);
	struct kolk_pool_options o = KOLK_INIT(kolk_pool_options);
	struct kolk_sys sys = *kolk_sys_linux();
	struct kolk_lease lease;
	struct wire w = { 0 };

	sys.sock_acknowledge = count_acknowledged;
	e.sys = &sys;
	o.driver = &speaking;
	o.idle_min = KOLK_NONE;
	o.connections_max = 1;
	o.overtake_max_ns = KOLK_AT_ONCE; /* the connection is handed to its caller */
	kolk__store_relaxed(&acknowledged, 0);
	MUST(wire_origin(&w, NULL) && wire_engine(&w, &e) && wire_pool(&w, &o));
	CHECK_ERR(kolk_acquire(w.key, kolk_in_ms(10000), &lease), KOLK_OK);
	CHECK_ERR(wire_exchange(&lease, "hello\n"), KOLK_OK);
	CHECK_ERR(kolk_release(&lease), KOLK_OK);
	CHECK(kolk__load_relaxed(&acknowledged) == 0);
	CHECK_ERR(kolk_acquire(w.key, kolk_in_ms(10000), &lease), KOLK_OK);
	CHECK_ERR(kolk_release(&lease), KOLK_OK);
	CHECK(kolk__load_relaxed(&acknowledged) == 0);
	wire_close(&w);
}

static struct wire *awaiting; /* whose only caller wakes up late */
static _Thread_local bool is_late;
static kolk__atomic_bool sleeps;

static bool all_are_ready(void)
{
	struct kolk_stats stats = wire_stats(awaiting->pool);

	return stats.idle + stats.leased == 4;
}

static bool wait_late(void *context, uint32_t *word, uint32_t expected, uint64_t deadline_ns)
{
	bool woken;

	if (is_late)
		kolk__store_release(&sleeps, true);
	woken = kolk_sys_linux()->wait(context, word, expected, deadline_ns);
	if (is_late)
		CHECK(WITHIN_MS(10000, all_are_ready()));
	return woken;
}

static int open_later(void *context, uint32_t family, const struct kolk_sock_options *options)
{
	CHECK(WITHIN_MS(10000, kolk__load_acquire(&sleeps)));
	return kolk_sys_linux()->sock_open(context, family, options);
}

static bool is_reused(const struct kolk_lease *lease)
{
	struct kolk_lease_info info = KOLK_INIT(kolk_lease_info);

	return CHECK_ERR(kolk_lease_info(lease, &info), KOLK_OK) && info.reused != 0;
}

/* The caller of the first one is on its way to it when the others are ready, and takes any. What
 * it leaves, no caller waited for. */
static void made_beside_a_caller_is_acknowledged(void)
{
	struct kolk_engine_options e = KOLK_INIT(kolk_engine_options);
	struct kolk_pool_options o = KOLK_INIT(kolk_pool_options);
	struct kolk_sys sys = *kolk_sys_linux();
	struct kolk_lease lease, others[3];
	struct wire w = { 0 };

	sys.sock_acknowledge = count_acknowledged;
	sys.sock_open = open_later;
	sys.wait = wait_late;
	e.sys = &sys;
	o.driver = &speaking;
	o.idle_min = 4;
	o.overtake_max_ns = 60 * KOLK_S_NS; /* no connection is handed to it */
	kolk__store_relaxed(&acknowledged, 0);
	kolk__store_relaxed(&sleeps, false);
	MUST(wire_origin(&w, NULL) && wire_engine(&w, &e) && wire_pool(&w, &o));
	awaiting = &w;
	is_late = true;
	CHECK_ERR(kolk_acquire(w.key, kolk_in_ms(10000), &lease), KOLK_OK);
	is_late = false;
	CHECK(WITHIN_MS(10000, kolk__load_relaxed(&acknowledged) >= 3));
	CHECK(!is_reused(&lease));
	for (int i = 0; i < 3; i++) { /* these lie idle from now on, and may be stale later */
		if (CHECK_ERR(kolk_try_acquire(w.key, &others[i]), KOLK_OK))
			CHECK(is_reused(&others[i]));
	}
	for (int i = 0; i < 3; i++)
		CHECK_ERR(kolk_release(&others[i]), KOLK_OK);
	CHECK_ERR(kolk_release(&lease), KOLK_OK);
	wire_close(&w);
}

static void ask_and_cancel(struct kolk_call *call, void *user)
{
	struct asking *asking = user;

	ask(call, asking);
	kolk__store_release(&sleeps, true);
	CHECK(WITHIN_MS(10000, wire_stats(asking->pool).leased == 1));
	CHECK_ERR(kolk_acquire_cancel(&asking->acquire), KOLK_OK);
	kolk__store_release(&asking->ended, true);
}

/* The other loop dials it, and hands it to a caller whose callback does not run any more. */
static void one_that_came_too_late_is_acknowledged(void)
{
	struct kolk_engine_options e = KOLK_INIT(kolk_engine_options);
	struct kolk_pool_options o = KOLK_INIT(kolk_pool_options);
	struct kolk_sys sys = *kolk_sys_linux();
	struct asking asking = { .key = NULL };
	struct kolk_lease lease;
	struct wire w = { 0 };

	sys.sock_acknowledge = count_acknowledged;
	sys.sock_open = open_later;
	e.sys = &sys;
	e.loops = 2;
	o.driver = &speaking;
	o.idle_min = KOLK_NONE;
	o.connections_max = 1;
	kolk__store_relaxed(&acknowledged, 0);
	kolk__store_relaxed(&sleeps, false);
	MUST(wire_origin(&w, NULL) && wire_engine(&w, &e) && wire_pool(&w, &o));
	asking.pool = w.pool;
	asking.key = w.key;
	CHECK_ERR(kolk_try_acquire(w.key, &lease), KOLK_E_EMPTY); /* on the first loop */
	CHECK_ERR(kolk_loop_call(kolk_engine_loop(w.engine, 1), &asking.call, ask_and_cancel,
				 &asking), KOLK_OK);
	CHECK(WITHIN_MS(10000, kolk__load_acquire(&asking.ended)));
	CHECK(wire_stats(w.pool).idle == 1);
	CHECK(kolk__load_relaxed(&acknowledged) == 1);
	wire_close(&w);
}

/* From a port of ours, with what TCP knows. */
static void ports_and_tcp(void)
{
	struct kolk_pool_options o = KOLK_INIT(kolk_pool_options);
	uint64_t rtt_ns = 0, resent = 9;
	struct kolk_lease lease;
	struct wire w = { 0 };
	enum kolk_err err;

	o.bind_address = "127.0.0.1";
	o.bind_port_min = 40000;
	o.bind_port_max = 40063;
	MUST(wire_origin(&w, NULL) && wire_engine(&w, NULL) && wire_pool(&w, &o));
	err = kolk_acquire(w.key, kolk_in_ms(3000), &lease);
	if (err == KOLK_E_IO) { /* IP_LOCAL_PORT_RANGE */
		tap_skip("this kernel is older than 6.3");
		wire_close(&w);
		return;
	}
	CHECK_ERR(err, KOLK_OK);
	CHECK_ERR(wire_exchange(&lease, "hello\n"), KOLK_OK);
	CHECK_ERR(kolk_lease_tcp(&lease, &rtt_ns, &resent), KOLK_OK);
	CHECK(rtt_ns > 0 && rtt_ns < KOLK_S_NS && resent == 0);
	CHECK(kit_origin_last_port(w.origin) >= 40000 && kit_origin_last_port(w.origin) <= 40063);
	CHECK_ERR(kolk_release(&lease), KOLK_OK);
	CHECK_ERR(kolk_lease_tcp(&lease, &rtt_ns, &resent), KOLK_E_LEASE_STALE);
	wire_close(&w);
}

static const struct tap_test tests[] = {
	{ "FIN while idle: gone without an acquire", fin_while_idle },
	{ "RST while idle: gone without an acquire", rst_while_idle },
	{ "a peer that closes after each answer", closes_after_answer },
	{ "a peer that resets after each answer", resets_after_answer },
	{ "a peer that half-closes after each answer", half_closes },
	{ "a peer that sends unsolicited data", sends_unsolicited },
	{ "FIN while leased", closes_while_leased },
	{ "a peer that never answers", silent },
	{ "no listener", refused },
	{ "a name that does not exist", unknown_host },
	{ "a black hole", black_hole },
	{ "a Unix socket", unix_socket },
	{ "an address by name", by_name },
	{ "the options of a socket", socket_options },
	{ "the first bytes acknowledge a connection", first_bytes_acknowledge },
	{ "a connection made ahead is acknowledged", made_ahead_is_acknowledged },
	{ "one made beside a caller is acknowledged", made_beside_a_caller_is_acknowledged },
	{ "one that was used is acknowledged", one_that_was_used_is_acknowledged },
	{ "one that came too late is acknowledged", one_that_came_too_late_is_acknowledged },
	{ "local ports, and what TCP knows", ports_and_tcp },
};
TAP_TESTS(peer, tests);
