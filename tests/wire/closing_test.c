/* SPDX-License-Identifier: Apache-2.0 */
/*
 * closing_test.c - a server that ends idle connections at random moments, by FIN, by RST and
 * by being killed. Each lease asks: was this connection's end sent more than 5 ms ago? On a machine
 * that takes the CPU away for longer: more than that, and twice what a thread that only sleeps is
 * late, for the loop and for the thread that asks.
 *
 * The server is a process of its own. It numbers its connections; the number is the answer
 * to a request. When it ends one it notes the time, on a page that both share; on loopback
 * the end has arrived when close(2) returns.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "core/base/atomic.h"
#include "tests/kit/control.h"
#include "tests/kit/measure.h"
#include "tests/wire/wire.h"

enum { IDS = 1 << 22, CONNECTIONS = 8, OPEN_MAX_HERE = 64 };
/* Under a sanitizer a step of a loop takes ten times as long. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define LATE_NS (50 * KOLK_MS_NS)
#else
#define LATE_NS (5 * KOLK_MS_NS)
#endif

/* What server and test share. */
struct shared {
	uint32_t next;         /* W: servers, one at a time */
	kolk__atomic_u64 ended_ns[IDS]; /* W: server. R: test (acquire). 0 = not ended */
};

/* ---- the server: no memory, no locks, only what a fork's child may call */

static uint64_t random_of(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	return *state ^= *state << 17;
}

static void end_one(struct shared *shared, int fd, uint32_t id, bool reset)
{
	struct linger linger = { 1, 0 };

	if (reset)
		setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof linger);
	close(fd);
	kolk__store_release(&shared->ended_ns[id], clock_now());
}

/* One request: a byte; its answer: the number of the connection. */
static bool answer(int fd, uint32_t id)
{
	char byte;
	ssize_t got = recv(fd, &byte, 1, MSG_DONTWAIT);

	if (got < 0)
		return errno == EAGAIN;
	return got > 0 && send(fd, &id, sizeof id, MSG_NOSIGNAL | MSG_DONTWAIT) == sizeof id;
}

static void serve(struct shared *shared, int listener)
{
	struct pollfd polled[OPEN_MAX_HERE + 1] = { { .fd = listener, .events = POLLIN } };
	uint32_t ids[OPEN_MAX_HERE + 1];
	struct timespec nap = { .tv_nsec = 200000 };
	uint64_t state = clock_now() | 1;
	int count = 1;

	for (;;) {
		int victim = -1;

		ppoll(polled, (nfds_t)count, &nap, NULL);
		if (polled[0].revents & POLLIN && count <= OPEN_MAX_HERE) {
			polled[count] = (struct pollfd){ .fd = accept(listener, NULL, NULL),
							 .events = POLLIN };
			ids[count] = shared->next++ % IDS;
			kolk__store_relaxed(&shared->ended_ns[ids[count]], 0);
			count += polled[count].fd >= 0;
		}
		if (count > 1 && random_of(&state) % 4 == 0)
			victim = 1 + (int)(random_of(&state) % (uint64_t)(count - 1));
		for (int i = 1; i < count; i++) {
			bool lives = polled[i].revents == 0 || answer(polled[i].fd, ids[i]);

			if (lives && i != victim)
				continue;
			end_one(shared, polled[i].fd, ids[i], random_of(&state) % 2);
			victim = victim == count - 1 ? i : victim;
			polled[i] = polled[--count];
			ids[i] = ids[count];
			polled[i].revents = 0;
		}
	}
}

struct server {
	struct shared *shared;
	int listener;
	pid_t pid;
	uint32_t first; /* number of its first connection */
	uint64_t kills;
};

static void server_start(struct server *server)
{
	server->first = server->shared->next;
	server->pid = fork();
	if (server->pid != 0)
		return;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	serve(server->shared, server->listener);
}

/* All that it had open has ended when waitpid returns. */
static void server_kill(struct server *server)
{
	uint64_t now_ns;

	kill(server->pid, SIGKILL);
	waitpid(server->pid, NULL, 0);
	now_ns = clock_now();
	for (uint32_t id = server->first; id != server->shared->next; id++)
		if (kolk__own(&server->shared->ended_ns[id % IDS]) == 0)
			kolk__store_release(&server->shared->ended_ns[id % IDS], now_ns);
	server->kills++;
}

static bool server_open(struct wire *w, struct server *server)
{
	struct sockaddr_in here = { .sin_family = AF_INET };
	socklen_t size = sizeof here;

	here.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	server->shared = mmap(NULL, sizeof *server->shared, PROT_READ | PROT_WRITE,
			      MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	server->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (!CHECK(server->shared != MAP_FAILED) ||
	    !CHECK(bind(server->listener, (struct sockaddr *)&here, size) == 0 &&
		   listen(server->listener, 64) == 0 &&
		   getsockname(server->listener, (struct sockaddr *)&here, &size) == 0))
		return false;
	snprintf(w->address, sizeof w->address, "127.0.0.1:%u", ntohs(here.sin_port));
	server_start(server);
	return true;
}

static void server_close(struct server *server)
{
	server_kill(server);
	close(server->listener);
	munmap(server->shared, sizeof *server->shared);
}

/* ---- the trials */

struct trials {
	struct wire *w;
	struct shared *shared;
	struct kit_control control;
	uint64_t wanted;
	kolk__atomic_u64 begun, late, inside, fresh, requests, lost;
	kolk__atomic_u64 late_max_ns;
	kolk__atomic_u32 id_of[1 << 16]; /* of connection number; 0 = not known, else id + 1 */
};

static void keep_max(kolk__atomic_u64 *max, uint64_t value)
{
	uint64_t seen = kolk__load_relaxed(max);

	while (value > seen && !kolk__cas_acq_rel(max, &seen, value))
		;
}

/* For how long it has been dead. */
static void check_lease(struct trials *t, const struct kolk_lease *lease,
			kolk__atomic_u32 **place)
{
	struct kolk_lease_info info = KOLK_INIT(kolk_lease_info);
	uint64_t ended_ns, now_ns = clock_now();
	uint32_t id;

	if (!CHECK_ERR(kolk_lease_info(lease, &info), KOLK_OK))
		return;
	*place = &t->id_of[info.connection % (1 << 16)];
	if (!info.reused)
		kolk__store_relaxed(*place, 0);
	id = kolk__load_relaxed(*place);
	if (id == 0) {
		kolk__add_relaxed(&t->fresh, 1);
		return;
	}
	ended_ns = kolk__load_acquire(&t->shared->ended_ns[id - 1]);
	if (ended_ns == 0 || ended_ns >= now_ns)
		return;
	kolk__add_relaxed(now_ns - ended_ns > LATE_NS ? &t->late : &t->inside, 1);
	keep_max(&t->late_max_ns, now_ns - ended_ns);
}

static void *thread_trials(void *arg)
{
	struct trials *t = arg;
	struct kolk_lease lease;

	while (kolk__add_relaxed(&t->begun, 1) < t->wanted) {
		kolk__atomic_u32 *place = NULL;
		uint32_t id = 0;
		size_t got = 0;
		enum kolk_err err = kolk_acquire(t->w->key, kolk_in_ms(5000), &lease);

		if (err != KOLK_OK)
			continue; /* the server is being replaced */
		check_lease(t, &lease, &place);
		if (kolk__load_relaxed(place) == 0 || kolk__load_relaxed(&t->begun) % 4 == 0) {
			err = kolk_send_all(&lease, "?", 1, kolk_in_ms(2000));
			if (err == KOLK_OK)
				err = kolk_recv(&lease, &id, sizeof id, kolk_in_ms(2000), &got);
			kolk__add_relaxed(err == KOLK_OK ? &t->requests : &t->lost, 1);
			if (err == KOLK_OK && got == sizeof id)
				kolk__store_relaxed(place, id + 1);
		}
		CHECK_ERR(err == KOLK_OK ? kolk_release(&lease) : kolk_discard(&lease), KOLK_OK);
	}
	return NULL;
}

struct caller {
	struct trials *t;
	struct kolk_loop *loop;
	struct kolk_call call;
	struct kolk_acquire acquire;
	struct kolk_io send, recv;
	struct kolk_lease lease;
	uint32_t id;
	kolk__atomic_u32 *place, done;
};

static void caller_next(struct kolk_call *call, void *user);

static void caller_done(struct caller *c, enum kolk_err err)
{
	CHECK_ERR(err == KOLK_OK ? kolk_release(&c->lease) : kolk_discard(&c->lease), KOLK_OK);
	(void)kolk_loop_call(c->loop, &c->call, caller_next, c);
}

static void caller_answered(void *user, enum kolk_err err, size_t size)
{
	struct caller *c = user;

	kolk__add_relaxed(err == KOLK_OK ? &c->t->requests : &c->t->lost, 1);
	if (err == KOLK_OK && size == sizeof c->id)
		kolk__store_relaxed(c->place, c->id + 1);
	caller_done(c, err);
}

static void caller_sent(void *user, enum kolk_err err, size_t size)
{
	struct caller *c = user;

	(void)size;
	if (err == KOLK_OK)
		err = kolk_recv_async(c->loop, &c->lease, &c->recv, &c->id, sizeof c->id,
				      kolk_in_ms(2000), caller_answered, c);
	if (err != KOLK_PENDING)
		caller_answered(c, err, 0);
}

static void caller_leased(void *user, enum kolk_err err, const struct kolk_lease *lease)
{
	struct caller *c = user;

	if (err != KOLK_OK) {
		(void)kolk_loop_call(c->loop, &c->call, caller_next, c);
		return;
	}
	c->lease = *lease;
	check_lease(c->t, lease, &c->place);
	if (kolk__load_relaxed(c->place) != 0 && kolk__load_relaxed(&c->t->begun) % 4 != 0) {
		caller_done(c, KOLK_OK);
		return;
	}
	err = kolk_send_async(c->loop, lease, &c->send, "?", 1, kolk_in_ms(2000), caller_sent, c);
	if (err != KOLK_PENDING)
		caller_sent(c, err, 0);
}

static void caller_next(struct kolk_call *call, void *user)
{
	struct caller *c = user;
	enum kolk_err err;

	(void)call;
	if (kolk__add_relaxed(&c->t->begun, 1) >= c->t->wanted) {
		kolk__store_release(&c->done, 1);
		return;
	}
	err = kolk_acquire_async(c->loop, c->t->w->key, kolk_in_ms(5000), &c->acquire,
				 caller_leased, c);
	if (err != KOLK_PENDING)
		caller_leased(c, err, &c->acquire.lease);
}

/* Until all trials are done: kill the server now and then. */
static void disturb(struct server *server, const struct trials *t)
{
	while (kolk__load_relaxed(&t->begun) < t->wanted) {
		usleep(100000);
		server_kill(server);
		server_start(server);
	}
}

static bool trials_open(struct wire *w, struct server *server, struct trials *t)
{
	struct kolk_engine_options engine = KOLK_INIT(kolk_engine_options);
	struct kolk_pool_options o = KOLK_INIT(kolk_pool_options);

	engine.loops = 2;
	o.connections_max = o.idle_min = CONNECTIONS;
	o.retry_interval_ns = KOLK_MS_NS;
	o.retry_max_ns = 5 * KOLK_MS_NS;
	*t = (struct trials){ .w = w, .wanted = wire_trials };
	if (!server_open(w, server) || !wire_engine(w, &engine) || !wire_pool(w, &o))
		return false;
	t->shared = server->shared;
	kit_control_begin(&t->control);
	return true;
}

/* Whether none was later than it may be. */
static bool trials_close(struct trials *t, struct server *server)
{
	struct kolk_stats stats = wire_stats(t->w->pool);
	uint64_t longest_ns = kolk__own(&t->late_max_ns);

	(void)kit_control_end(&t->control);
	tap_note("%llu leases, %llu connections, %llu found dead while idle, %llu servers killed; "
		 "%llu requests, %llu lost", (unsigned long long)stats.acquired,
		 (unsigned long long)stats.created, (unsigned long long)stats.stale_discarded,
		 (unsigned long long)server->kills, (unsigned long long)kolk__own(&t->requests),
		 (unsigned long long)kolk__own(&t->lost));
	tap_note("leased although its end had come: %llu within %d ms (longest %.2f ms), %llu later",
		 (unsigned long long)kolk__own(&t->inside), (int)(LATE_NS / KOLK_MS_NS),
		 (double)longest_ns / 1e6, (unsigned long long)kolk__own(&t->late));
	tap_note("a thread that only sleeps: %.2f ms late", (double)t->control.worst_ns / 1e6);
	CHECK(stats.stale_discarded > 0 && kolk__own(&t->requests) > wire_trials / 100);
	wire_close(t->w);
	server_close(server);
	return longest_ns <= LATE_NS + 2 * t->control.worst_ns;
}

static struct trials trials; /* large */

static bool threads_hold(void)
{
	struct server server = { 0 };
	struct wire w = { 0 };
	pthread_t threads[4];

	if (!trials_open(&w, &server, &trials))
		return false;
	for (int i = 0; i < 4; i++)
		if (!CHECK(pthread_create(&threads[i], NULL, thread_trials, &trials) == 0))
			return false;
	disturb(&server, &trials);
	for (int i = 0; i < 4; i++)
		pthread_join(threads[i], NULL);
	return trials_close(&trials, &server);
}

static bool loops_hold(void)
{
	static struct caller callers[6];
	struct server server = { 0 };
	struct wire w = { 0 };

	if (!trials_open(&w, &server, &trials))
		return false;
	for (uint32_t i = 0; i < 6; i++) {
		callers[i] = (struct caller){ .t = &trials,
					      .loop = kolk_engine_loop(w.engine, i % 2) };
		(void)kolk_loop_call(callers[i].loop, &callers[i].call, caller_next, &callers[i]);
	}
	disturb(&server, &trials);
	for (int i = 0; i < 6; i++)
		CHECK(WITHIN_MS(10000, kolk__load_acquire(&callers[i].done)));
	return trials_close(&trials, &server);
}

static void closing_peers_threads(void)
{
	CHECK(wire_holds_in_three(threads_hold));
}

static void closing_peers_loops(void)
{
	CHECK(wire_holds_in_three(loops_hold));
}

static const struct tap_test tests[] = {
	{ "peers that close at random moments: threads", closing_peers_threads },
	{ "peers that close at random moments: loops", closing_peers_loops },
};
TAP_TESTS(closing, tests);
