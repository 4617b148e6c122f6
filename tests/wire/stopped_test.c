/* SPDX-License-Identifier: Apache-2.0 */
/*
 * stopped_test.c - a process is stopped (SIGSTOP) until a deadline has passed, while the expected
 * bytes arrive: when it continues, the bytes win over the deadline.
 *
 * The engine is in a child process, this process is its peer: it stops the child, answers, and
 * continues the child when the deadline has passed.
 */
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/kit/restarted.h"
#include "tests/wire/wire.h"

enum { ASK = 6, DEADLINE_MS = 1500, STOPPED_MS = DEADLINE_MS + 200 };
enum { CALLERS = 300, ANSWER = 96, LARGE = 40000, PIECE = 4096 };

/* ---- the peer */

struct fixture {
	uint32_t callers;
	size_t answer; /* bytes for each */
	pid_t child;
	int listener, conns[CALLERS];
	uint16_t port;
};

/* A child that failed asks nothing. */
static bool is_patient(int fd)
{
	const struct timeval most = { .tv_sec = 20 };

	return setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &most, sizeof most) == 0;
}

static bool listen_on_loopback(struct fixture *s, int backlog)
{
	struct sockaddr_in address = { .sin_family = AF_INET,
				       .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t size = sizeof address;

	s->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (s->listener < 0 ||
	    bind(s->listener, (struct sockaddr *)(void *)&address, size) != 0 ||
	    listen(s->listener, backlog) != 0 || !is_patient(s->listener) ||
	    getsockname(s->listener, (struct sockaddr *)(void *)&address, &size) != 0)
		return false;
	s->port = ntohs(address.sin_port);
	return true;
}

static bool stop(const struct fixture *s)
{
	int status = 0;

	usleep(50000); /* it sleeps by now, where it waits for the answer */
	return kill(s->child, SIGSTOP) == 0 &&
	       waitpid(s->child, &status, WUNTRACED) == s->child && WIFSTOPPED(status);
}

static void continue_late(const struct fixture *s)
{
	usleep(STOPPED_MS * 1000);
	(void)kill(s->child, SIGCONT);
}

static bool read_asked(int fd)
{
	char request[ASK];

	return is_patient(fd) && kit_recv(fd, request, sizeof request, MSG_WAITALL) == ASK;
}

static bool write_answer(int fd, size_t size)
{
	static const char answer[LARGE];

	return send(fd, answer, size, MSG_NOSIGNAL) == (ssize_t)size;
}

/* How many callers the child's run left without their answer; -1 = the child failed otherwise. */
static int end_of(const struct fixture *s)
{
	int status = 0;

	(void)waitpid(s->child, &status, 0);
	close(s->listener);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

/* ---- the child: callers of one loop */

struct caller {
	struct child *child;
	struct kolk_acquire acquire;
	struct kolk_lease lease;
	struct kolk_io io;
	struct kolk_timer timer; /* as a driver's deadline of a request */
	size_t received;
	bool caller_done;
	char answer[PIECE];
};

struct child {
	struct wire wire;
	struct kolk_loop *loop;
	uint32_t callers, leases, caller_done, wrong;
	size_t answer;
	uint64_t deadline_ns;
	struct caller caller[CALLERS];
};

static void caller_done(struct caller *c, enum kolk_err err)
{
	if (c->caller_done)
		return;
	c->caller_done = true;
	kolk_timer_stop(&c->timer);
	c->child->caller_done++;
	c->child->wrong += err != KOLK_OK;
	if (err != KOLK_OK && c->child->wrong == 1)
		tap_note("in the child: %s", kolk_err_text(err));
	fflush(stdout);
}

static void late(struct kolk_timer *timer, void *user)
{
	(void)timer;
	caller_done(user, KOLK_E_TIMEOUT);
}

static void receive(struct caller *c);

static void received(void *user, enum kolk_err err, size_t size)
{
	struct caller *c = user;

	c->received += size;
	if (err == KOLK_OK && c->received < c->child->answer)
		receive(c);
	else
		caller_done(c, err);
}

static void receive(struct caller *c)
{
	(void)!kolk_recv_async(c->child->loop, &c->lease, &c->io, c->answer, sizeof c->answer,
			       c->child->deadline_ns, received, c);
}

static void sent(void *user, enum kolk_err err, size_t size)
{
	struct caller *c = user;

	if (err != KOLK_OK || size != ASK)
		caller_done(c, KOLK_E_IO);
	else
		receive(c);
}

/* All at once, when all of them have a connection. */
static void ask_all(struct child *child)
{
	child->deadline_ns = kolk_in_ms(DEADLINE_MS);
	for (uint32_t i = 0; i < child->callers; i++) {
		struct caller *c = &child->caller[i];

		(void)kolk_timer_start(child->loop, &c->timer, child->deadline_ns, late, c);
		(void)!kolk_send_async(child->loop, &c->lease, &c->io, "hello\n", ASK,
				       child->deadline_ns, sent, c);
	}
}

static void leased(void *user, enum kolk_err err, const struct kolk_lease *lease)
{
	struct caller *c = user;

	if (err != KOLK_OK) {
		caller_done(c, err);
		return;
	}
	c->lease = *lease;
	if (++c->child->leases == c->child->callers)
		ask_all(c->child);
}

static bool child_open(struct child *child, const struct fixture *s, struct kolk_pool_options *o)
{
	struct kolk_engine_options e = KOLK_INIT(kolk_engine_options);

	e.loops = 1;
	e.connections_max = e.tenant_connections_max = CALLERS;
	e.loop_owner = KOLK_LOOPS_EMBEDDER;
	snprintf(child->wire.address, sizeof child->wire.address, "127.0.0.1:%u", s->port);
	o->connections_max = o->pool_connections_max = o->waiters_max = CALLERS;
	o->eager_dials = 1;
	if (!wire_engine(&child->wire, &e) || !wire_pool(&child->wire, o))
		return false;
	child->callers = s->callers;
	child->answer = s->answer;
	child->loop = kolk_engine_loop(child->wire.engine, 0);
	return kolk_loop_step(child->loop, 0) == KOLK_OK;
}

static void run_loop(struct child *child)
{
	for (int i = 0; i < 100000 && child->caller_done < child->callers; i++)
		(void)!kolk_loop_step(child->loop, KOLK_S_NS);
}

static int callers_run(const struct fixture *s)
{
	static struct child child;
	struct kolk_pool_options o = KOLK_INIT(kolk_pool_options);

	if (!child_open(&child, s, &o))
		return 255;
	for (uint32_t i = 0; i < child.callers; i++) {
		struct caller *c = &child.caller[i];

		c->child = &child;
		if (kolk_acquire_async(child.loop, child.wire.key, kolk_in_ms(10000), &c->acquire,
				       leased, c) != KOLK_PENDING)
			return 255;
	}
	run_loop(&child);
	return (int)(child.wrong + child.callers - child.caller_done > 254 ? 254 :
		     child.wrong + child.callers - child.caller_done);
}

static void raise_descriptor_limit(void)
{
	struct rlimit limit;

	getrlimit(RLIMIT_NOFILE, &limit);
	limit.rlim_cur = limit.rlim_max < 4096 ? limit.rlim_max : 4096;
	setrlimit(RLIMIT_NOFILE, &limit);
}

static void answered(uint32_t callers, size_t answer)
{
	struct fixture s = { .callers = callers, .answer = answer };
	struct rlimit before;
	bool held = true;

	getrlimit(RLIMIT_NOFILE, &before);
	raise_descriptor_limit();
	if (!wire_may_fork())
		return;
	MUST(CHECK(listen_on_loopback(&s, CALLERS)));
	s.child = fork();
	if (s.child == 0)
		_exit(callers_run(&s));
	for (uint32_t i = 0; i < callers; i++)
		s.conns[i] = kit_accept(s.listener);
	for (uint32_t i = 0; i < callers; i++)
		held &= read_asked(s.conns[i]);
	CHECK(held && stop(&s));
	for (uint32_t i = 0; i < callers; i++)
		held &= write_answer(s.conns[i], answer);
	CHECK(held);
	continue_late(&s);
	CHECK_ERR(end_of(&s), 0);
	for (uint32_t i = 0; i < callers; i++)
		close(s.conns[i]);
	setrlimit(RLIMIT_NOFILE, &before);
}

static void one_answer(void)
{
	answered(1, ANSWER);
}

static void many_answers(void)
{
	answered(CALLERS, ANSWER);
}

/* It is read in pieces, from callback to callback. */
static void large_answer(void)
{
	answered(1, LARGE);
}

/* ---- a handshake: the peer's last words come through this process, while the child is stopped */

static void acquired(void *user, enum kolk_err err, const struct kolk_lease *lease)
{
	(void)lease;
	caller_done(user, err);
}

static int handshake_run(const struct fixture *s)
{
	static struct child child;
	struct kolk_pool_options o = KOLK_INIT(kolk_pool_options);
	struct kolk_tls_options t = KOLK_INIT(kolk_tls_options);
	struct caller *c = &child.caller[0];
	char address[64];

	snprintf(address, sizeof address, "tls://127.0.0.1:%u", s->port);
	t.ca_file = wire_certs.ca_path;
	o.address = address;
	o.tls = &t;
	o.dials_max = 1;
	o.tls_timeout_ns = DEADLINE_MS * KOLK_MS_NS;
	if (!child_open(&child, s, &o))
		return 255;
	c->child = &child;
	if (kolk_acquire_async(child.loop, child.wire.key, kolk_in_ms(10000), &c->acquire, acquired,
			       c) != KOLK_PENDING)
		return 255;
	run_loop(&child);
	return (int)(child.wrong + child.callers - child.caller_done);
}

static bool pass_through(int from, int to)
{
	char bytes[16384];
	ssize_t size = recv(from, bytes, sizeof bytes, 0);

	return size > 0 && send(to, bytes, (size_t)size, MSG_NOSIGNAL) == size;
}

static bool speaks(int fd, int ms)
{
	return poll(&(struct pollfd){ .fd = fd, .events = POLLIN }, 1, ms) > 0;
}

/* What the client says, and what is answered. */
static bool exchange(int client, int server)
{
	bool held = speaks(client, 5000);

	while (held && !speaks(server, 300))
		held = !speaks(client, 0) || pass_through(client, server);
	while (held && speaks(server, 300))
		held = pass_through(server, client);
	return held;
}

static int connect_to(uint16_t port)
{
	struct sockaddr_in address = { .sin_family = AF_INET, .sin_port = htons(port),
				       .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	return fd >= 0 && connect(fd, (struct sockaddr *)(void *)&address, sizeof address) == 0 ?
		       fd : -1;
}

static void handshake(void)
{
	const struct kit_origin_options o = { .cert = &wire_certs.good };
	bool tls12 = strstr(kolk_tls_text(), "TLS 1.3") == NULL;
	struct fixture s = { .callers = 1 };
	struct wire w = { 0 };
	int client, server;

	if (!wire_may_fork())
		return;
	MUST(wire_origin(&w, &o) && CHECK(listen_on_loopback(&s, 1)));
	fflush(stdout);
	s.child = fork();
	if (s.child == 0)
		_exit(handshake_run(&s));
	client = kit_accept(s.listener);
	server = connect_to(kit_origin_port(w.origin));
	CHECK(client >= 0 && server >= 0);
	CHECK(!tls12 || exchange(client, server));
	CHECK(speaks(client, 5000) && stop(&s));
	CHECK(exchange(client, server));
	continue_late(&s);
	CHECK_ERR(end_of(&s), 0);
	close(client);
	close(server);
	wire_close(&w);
}

static const struct tap_test tests[] = {
	{ "stopped while an answer comes", one_answer },
	{ "stopped while many answers come", many_answers },
	{ "stopped while a large answer comes", large_answer },
	{ "stopped while the last flight of a handshake arrives", handshake },
};
TAP_TESTS(stopped, tests);
