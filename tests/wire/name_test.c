/* SPDX-License-Identifier: Apache-2.0 */
/* name_test.c - names: a name server of our own that answers, changes its mind, or is silent. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/base/atomic.h"
#include "tests/kit/control.h"
#include "tests/wire/wire.h"

enum { ANSWERS_MAX = 16, TYPE_A = 1, TYPE_AAAA = 28 };

struct name_server {
	int fd;
	char where[32];
	pthread_t thread;
	pthread_mutex_t lock;    /* what it answers */
	uint32_t address[ANSWERS_MAX], count, ttl_s; /* no address = there is no such name */
	struct in6_addr address6[ANSWERS_MAX];
	uint32_t count6;
	bool silent;
	uint32_t drops, refuses; /* questions of this type: 0 = none */
	uint32_t delays;         /* answers of this type by so much: 0 = none */
	int delay_ms;
	uint32_t shift;          /* each answer begins so much later in the list */
	uint32_t part;           /* of it in each answer; 0 = all */
	uint64_t given;
	kolk__atomic_u64 questions; /* for A */
};

static size_t question_end(const uint8_t *bytes, size_t size)
{
	size_t end = 12;

	while (end < size && bytes[end] != 0)
		end += bytes[end] + 1u;
	return end + 5;
}

static uint32_t type_of(const uint8_t *bytes, size_t size)
{
	return bytes[question_end(bytes, size) - 3];
}

/* RFC 1035, section 4.1.3; the name is the question's. Returns its size. */
static size_t record_write(uint8_t *bytes, uint32_t type, uint32_t ttl_s, const void *address)
{
	const uint8_t size = type == TYPE_A ? 4 : 16;
	const uint8_t record[12] = { 0xc0, 12, 0, (uint8_t)type, 0, 1, 0, 0, 0, (uint8_t)ttl_s, 0,
				     size };

	memcpy(bytes, record, sizeof record);
	memcpy(bytes + sizeof record, address, size);
	return sizeof record + size;
}

/* RFC 1035, section 4: the header, the question as it came, records that point at it. */
static size_t reply(struct name_server *server, uint8_t *bytes, size_t size)
{
	size_t end = question_end(bytes, size);
	uint32_t count, part, first, type;

	if (end > size)
		return 0;
	pthread_mutex_lock(&server->lock);
	type = bytes[end - 3];
	part = server->part != 0 && server->part < server->count ? server->part : server->count;
	count = type == TYPE_A ? part : type == TYPE_AAAA ? server->count6 : 0;
	first = type == TYPE_A && count > 0 ? (uint32_t)(server->given++ * server->shift) : 0;
	bytes[2] = 0x81;
	bytes[3] = server->count + server->count6 > 0 ? 0x80 : 0x83; /* NXDOMAIN */
	memset(bytes + 6, 0, 6);
	bytes[7] = (uint8_t)count;
	for (uint32_t i = 0; i < count; i++)
		end += record_write(bytes + end, type, server->ttl_s,
				    type == TYPE_A ?
					    (void *)&server->address[(first + i) % server->count] :
					    (void *)&server->address6[i]);
	if (server->refuses == type)
		bytes[3] = 0x82; /* SERVFAIL */
	if (server->silent || server->drops == type)
		end = 0;
	pthread_mutex_unlock(&server->lock);
	kolk__add_relaxed(&server->questions, type == TYPE_A && count > 0);
	return end;
}

struct packet {
	uint8_t bytes[1024];
	size_t size;
	uint64_t due_ms; /* 0 = it is sent */
	struct sockaddr_in to;
};

static void packet_send(const struct name_server *server, struct packet *packet)
{
	if (packet->size > 0)
		(void)sendto(server->fd, packet->bytes, packet->size, 0,
			     (struct sockaddr *)&packet->to, sizeof packet->to);
	packet->due_ms = 0;
}

/* True when a question is there; what is due meanwhile is sent. */
static bool await_question(const struct name_server *server, struct packet *late)
{
	struct pollfd in = { .fd = server->fd, .events = POLLIN };
	uint64_t now_ms = tap_now_ms();

	if (late->due_ms == 0)
		return true; /* recvfrom waits */
	if (poll(&in, 1, late->due_ms > now_ms ? (int)(late->due_ms - now_ms) : 0) > 0)
		return true;
	packet_send(server, late);
	return false;
}

/* 0 = the answer goes out at once. */
static int delay_of(struct name_server *server, const struct packet *packet)
{
	int delay_ms;

	pthread_mutex_lock(&server->lock);
	delay_ms = packet->size > 0 && type_of(packet->bytes, packet->size) == server->delays ?
			   server->delay_ms : 0;
	pthread_mutex_unlock(&server->lock);
	return delay_ms;
}

static void *serve(void *arg)
{
	struct name_server *server = arg;
	struct packet late = { .due_ms = 0 }, packet;

	for (;;) {
		socklen_t length = sizeof packet.to;
		ssize_t got;
		int delay_ms;

		if (!await_question(server, &late))
			continue;
		got = recvfrom(server->fd, packet.bytes, 512, 0, (struct sockaddr *)&packet.to,
			       &length);
		if (got <= 0)
			return NULL; /* shut down */
		packet.size = got >= 17 ? reply(server, packet.bytes, (size_t)got) : 0;
		delay_ms = delay_of(server, &packet);
		if (delay_ms == 0) {
			packet_send(server, &packet);
			continue;
		}
		late = packet;
		late.due_ms = tap_now_ms() + (uint64_t)delay_ms;
	}
}

static void answers(struct name_server *server, uint32_t count, const char *first,
		    const char *second, uint32_t ttl_s)
{
	pthread_mutex_lock(&server->lock);
	server->count = count;
	server->address[0] = inet_addr(first);
	server->address[1] = inet_addr(second);
	server->ttl_s = ttl_s;
	pthread_mutex_unlock(&server->lock);
}

static bool server_open(struct name_server *server)
{
	struct sockaddr_in here = { .sin_family = AF_INET };
	socklen_t size = sizeof here;

	*server = (struct name_server){ .lock = PTHREAD_MUTEX_INITIALIZER };
	here.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	server->fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (!CHECK(bind(server->fd, (struct sockaddr *)&here, size) == 0 &&
		   getsockname(server->fd, (struct sockaddr *)&here, &size) == 0))
		return false;
	snprintf(server->where, sizeof server->where, "127.0.0.1:%u", ntohs(here.sin_port));
	return CHECK(pthread_create(&server->thread, NULL, serve, server) == 0);
}

static void server_close(struct name_server *server)
{
	(void)shutdown(server->fd, SHUT_RDWR);
	pthread_join(server->thread, NULL);
	close(server->fd);
}

/* A pool to "upstream.test" at the origin's port. */
static bool named(struct wire *w, struct name_server *server, uint64_t resolve_ns)
{
	struct kolk_pool_options o = KOLK_INIT(kolk_pool_options);
	static char address[64];

	if (!wire_origin(w, NULL) || !wire_engine(w, NULL))
		return false;
	snprintf(address, sizeof address, "Upstream.Test.:%u", kit_origin_port(w->origin));
	o.address = address;
	o.name_servers = server->where;
	o.resolve_timeout_ns = resolve_ns;
	o.idle_min = KOLK_NONE;
	o.retry_interval_ns = o.retry_max_ns = KOLK_MS_NS;
	return wire_pool(w, &o);
}

static void kept_for_its_time(void)
{
	struct name_server server;
	struct wire w = { 0 };

	MUST(server_open(&server));
	answers(&server, 1, "127.0.0.1", "127.0.0.1", 100);
	MUST(named(&w, &server, 0));
	for (int i = 0; i < 30; i++) {
		CHECK_ERR(wire_request(w.key, "hello\n"), KOLK_OK);
		(void)kolk_pool_clear(w.pool);
	}
	CHECK(wire_stats(w.pool).created >= 30);
	/* One for each loop that had no answer yet. */
	CHECK(kolk__load_relaxed(&server.questions) <= kolk_engine_loop_count(w.engine));
	wire_close(&w);
	server_close(&server);
}

static void stale_is_used(void)
{
	struct kit_control control;
	struct name_server server;
	struct wire w = { 0 };

	MUST(server_open(&server));
	answers(&server, 1, "127.0.0.1", "127.0.0.1", 1);
	MUST(named(&w, &server, 0));
	CHECK_ERR(wire_request(w.key, "hello\n"), KOLK_OK);
	pthread_mutex_lock(&server.lock);
	server.silent = true;
	pthread_mutex_unlock(&server.lock);
	usleep(1300000);
	(void)kolk_pool_clear(w.pool);
	kit_control_begin(&control);
	CHECK_ERR(wire_request(w.key, "hello\n"), KOLK_OK);
	CHECK(kit_control_end(&control) < 200);
	wire_close(&w);
	server_close(&server);
}

static void no_such_name(void)
{
	struct kolk_failure failure = KOLK_INIT(kolk_failure);
	struct name_server server;
	struct wire w = { 0 };

	MUST(server_open(&server));
	MUST(named(&w, &server, 0));
	CHECK_ERR(wire_request(w.key, "hello\n"), KOLK_E_RESOLVE);
	CHECK(kolk_key_failure(w.key, &failure) && failure.phase == KOLK_PHASE_RESOLVE);
	answers(&server, 1, "127.0.0.1", "127.0.0.1", 1);
	CHECK(WITHIN_MS(2000, wire_request(w.key, "hello\n") == KOLK_OK));
	wire_close(&w);
	server_close(&server);
}

/* A silent name server delays the dials to this name and no others. */
static void silent_server(void)
{
	struct kolk_failure failure = KOLK_INIT(kolk_failure);
	struct kolk_pool_options o = KOLK_INIT(kolk_pool_options);
	struct kolk_lease nothing;
	struct kolk_pool *other;
	struct kit_control control;
	struct name_server server;
	struct wire w = { 0 };

	MUST(server_open(&server));
	server.silent = true;
	answers(&server, 1, "127.0.0.1", "127.0.0.1", 1);
	MUST(named(&w, &server, 300 * KOLK_MS_NS));
	CHECK_ERR(kolk_try_acquire(w.key, &nothing), KOLK_E_EMPTY); /* a dial begins */
	o.name = "other";
	o.address = w.address;
	CHECK_ERR(kolk_pool_add(w.engine, &o, &other), KOLK_OK);
	kit_control_begin(&control);
	CHECK_ERR(wire_request(kolk_pool_key(other), "hello\n"), KOLK_OK);
	CHECK(kit_control_ms(&control) < 100);
	CHECK_ERR(wire_request(w.key, "hello\n"), KOLK_E_DIAL_TIMEOUT);
	CHECK(kolk_key_failure(w.key, &failure) && failure.phase == KOLK_PHASE_RESOLVE);
	CHECK(kit_control_end(&control) < 1500);
	wire_close(&w);
	server_close(&server);
}

/* The first address refuses; then it is a black hole: the second one is tried beside it. */
static void addresses_race(void)
{
	struct sockaddr_in hole = { .sin_family = AF_INET };
	struct name_server server;
	struct wire w = { 0 };
	int listener, filler[4];
	struct kit_control control;
	uint32_t took_ms;

	MUST(server_open(&server));
	answers(&server, 2, "127.0.0.2", "127.0.0.1", 100);
	MUST(named(&w, &server, 0));
	kit_control_begin(&control);
	CHECK_ERR(wire_request(w.key, "hello\n"), KOLK_OK);
	CHECK(kit_control_end(&control) < 200);

	hole.sin_port = htons(kit_origin_port(w.origin));
	hole.sin_addr.s_addr = inet_addr("127.0.0.2");
	listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	MUST(bind(listener, (struct sockaddr *)&hole, sizeof hole) == 0 && listen(listener, 0) == 0);
	for (int i = 0; i < 4; i++) { /* fill its queue: what comes then is dropped */
		filler[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
		(void)connect(filler[i], (struct sockaddr *)&hole, sizeof hole);
	}
	(void)kolk_pool_clear(w.pool);
	CHECK(WITHIN_MS(1000, wire_stats(w.pool).open == 0));
	kit_control_begin(&control);
	CHECK_ERR(wire_request(w.key, "hello\n"), KOLK_OK);
	took_ms = kit_control_end(&control);
	tap_note("beside a black hole: ready after %u ms", took_ms);
	CHECK(took_ms < 1000);
	(void)kolk_pool_clear(w.pool);
	CHECK(WITHIN_MS(1000, wire_stats(w.pool).open == 0));
	wire_close(&w);
	for (int i = 0; i < 4; i++)
		close(filler[i]);
	close(listener);
	server_close(&server);
}

static void name_moves(void)
{
	struct name_server server;
	struct wire w = { 0 };

	MUST(server_open(&server));
	answers(&server, 2, "127.0.0.1", "127.0.0.2", 1);
	MUST(named(&w, &server, 0));
	CHECK_ERR(wire_request(w.key, "hello\n"), KOLK_OK);
	answers(&server, 1, "127.0.0.2", "127.0.0.2", 1);
	CHECK(WITHIN_MS(8000, wire_stats(w.pool).destroyed[KOLK_REASON_NAME_CHANGED] >= 1));
	answers(&server, 1, "127.0.0.1", "127.0.0.1", 1);
	CHECK(WITHIN_MS(8000, wire_request(w.key, "hello\n") == KOLK_OK));
	wire_close(&w);
	server_close(&server);
}

/* ---- one family is lost on the way */

/* Wall time; *control_ms is that of a thread that only sleeps. */
static uint64_t first_ms(uint32_t drops, uint32_t refuses, uint32_t *control_ms)
{
	struct name_server server;
	struct kit_control control;
	struct wire w = { 0 };
	uint64_t began_ms;

	*control_ms = UINT32_MAX;

	if (!server_open(&server))
		return 0;
	server.drops = drops;
	server.refuses = refuses;
	answers(&server, 1, "127.0.0.1", "127.0.0.1", 1);
	if (!named(&w, &server, 0))
		return 0;
	kit_control_begin(&control);
	began_ms = tap_now_ms();
	CHECK_ERR(wire_request(w.key, "hello\n"), KOLK_OK);
	began_ms = tap_now_ms() - began_ms;
	*control_ms = kit_control_end(&control);
	wire_close(&w);
	server_close(&server);
	return began_ms;
}

static void one_family_is_lost(void)
{
	uint32_t control_ms;
	uint64_t ms = first_ms(TYPE_AAAA, 0, &control_ms);

	tap_note("AAAA dropped: ready after %llu ms", (unsigned long long)ms);
	CHECK(ms >= 45 && control_ms < 500); /* the query goes out again after 1 s */
	(void)first_ms(0, TYPE_AAAA, &control_ms);
	CHECK(control_ms < 500);
}

/* The family that is there is not there: only the lost one could say so. */
static void both_are_lost(void)
{
	struct name_server server;
	struct wire w = { 0 };

	MUST(server_open(&server));
	server.drops = TYPE_A;
	answers(&server, 1, "127.0.0.1", "127.0.0.1", 1);
	MUST(named(&w, &server, 300 * KOLK_MS_NS));
	CHECK_ERR(wire_request(w.key, "hello\n"), KOLK_E_DIAL_TIMEOUT);
	wire_close(&w);
	server_close(&server);
}

/* ---- names with many addresses: a listener on all of them, that keeps what it accepts */

struct listeners {
	int fd;
	pthread_t thread;
	char address[64];
};

static void *keep(void *arg)
{
	struct listeners *listeners = arg;
	int fd[64], count = 0;

	while (count < 64 && (fd[count] = accept(listeners->fd, NULL, NULL)) >= 0)
		count++;
	while (count > 0)
		close(fd[--count]);
	return NULL;
}

static bool listeners_open(struct listeners *listeners)
{
	struct sockaddr_in here = { .sin_family = AF_INET };
	socklen_t size = sizeof here;

	listeners->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (!CHECK(bind(listeners->fd, (struct sockaddr *)&here, size) == 0 &&
		   listen(listeners->fd, 64) == 0 &&
		   getsockname(listeners->fd, (struct sockaddr *)&here, &size) == 0))
		return false;
	snprintf(listeners->address, sizeof listeners->address, "many.test:%u", ntohs(here.sin_port));
	return CHECK(pthread_create(&listeners->thread, NULL, keep, listeners) == 0);
}

static void many(struct name_server *server, uint32_t from, uint32_t count, uint32_t shift,
		 uint32_t part)
{
	pthread_mutex_lock(&server->lock);
	server->count = count;
	server->shift = shift;
	server->part = part;
	for (uint32_t i = 0; i < count; i++)
		server->address[i] = htonl(INADDR_LOOPBACK + from + i);
	server->ttl_s = 1;
	pthread_mutex_unlock(&server->lock);
}

static bool many_pool(struct wire *w, const struct listeners *listeners,
		      const struct name_server *server)
{
	struct kolk_pool_options o = KOLK_INIT(kolk_pool_options);

	o.address = listeners->address;
	o.name_servers = server->where;
	o.idle_min = 4;
	o.connections_max = 8;
	return wire_engine(w, NULL) && wire_pool(w, &o) &&
	       CHECK_ERR(kolk_key_warm(w->key, kolk_in_ms(5000)), KOLK_OK);
}

static void listener_close(struct listeners *listeners, struct name_server *server, struct wire *w)
{
	wire_close(w);
	(void)shutdown(listeners->fd, SHUT_RDWR);
	pthread_join(listeners->thread, NULL);
	close(listeners->fd);
	server_close(server);
}

/* Twelve of them in each answer, rotating: none is gone. Then all of them are. */
static void many_addresses(void)
{
	struct name_server server;
	struct listeners listeners;
	struct wire w = { 0 };

	if (!wire_has_time())
		return;
	MUST(server_open(&server) && listeners_open(&listeners));
	many(&server, 1, 12, 1, 0);
	MUST(many_pool(&w, &listeners, &server));
	CHECK(!WITHIN_MS(5000, wire_stats(w.pool).destroyed[KOLK_REASON_NAME_CHANGED] > 0));
	answers(&server, 1, "127.0.0.1", "127.0.0.1", 1);
	CHECK(WITHIN_MS(8000, wire_stats(w.pool).destroyed[KOLK_REASON_NAME_CHANGED] == 4));
	CHECK(WITHIN_MS(3000, wire_stats(w.pool).idle == 4));
	listener_close(&listeners, &server, &w);
}

/* One of twelve is taken out: its connections go, and those that follow stay. */
static void one_of_many(void)
{
	struct name_server server;
	struct listeners listeners;
	struct wire w = { 0 };

	if (!wire_has_time())
		return;
	MUST(server_open(&server) && listeners_open(&listeners));
	many(&server, 1, 12, 0, 0);
	MUST(many_pool(&w, &listeners, &server)); /* all to the first */
	many(&server, 2, 11, 1, 0);
	CHECK(WITHIN_MS(8000, wire_stats(w.pool).destroyed[KOLK_REASON_NAME_CHANGED] == 4));
	CHECK(!WITHIN_MS(4000, wire_stats(w.pool).destroyed[KOLK_REASON_NAME_CHANGED] > 4));
	listener_close(&listeners, &server, &w);
}

/* Four of twelve in each answer: once that has been noticed, nothing more is gone. */
static void parts_of_many(void)
{
	struct name_server server;
	struct listeners listeners;
	struct wire w = { 0 };
	uint64_t gone;

	if (!wire_has_time())
		return;
	MUST(server_open(&server) && listeners_open(&listeners));
	many(&server, 1, 12, 4, 4);
	MUST(many_pool(&w, &listeners, &server));
	usleep(5500000);
	gone = wire_stats(w.pool).destroyed[KOLK_REASON_NAME_CHANGED];
	CHECK(!WITHIN_MS(6000, wire_stats(w.pool).destroyed[KOLK_REASON_NAME_CHANGED] > gone));
	listener_close(&listeners, &server, &w);
}

/* ---- both families: the same port of 127.0.0.1 and of ::1 */

/* -1 = the port is taken there, or the machine does not have the family. */
static int listen_at(int family, uint16_t port, int backlog)
{
	struct sockaddr_in v4 = { .sin_family = AF_INET, .sin_port = htons(port),
				  .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	struct sockaddr_in6 v6 = { .sin6_family = AF_INET6, .sin6_port = htons(port),
				   .sin6_addr = IN6ADDR_LOOPBACK_INIT };
	const struct sockaddr *here = family == AF_INET ? (struct sockaddr *)&v4 :
							  (struct sockaddr *)&v6;
	int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd >= 0 && bind(fd, here, family == AF_INET ? sizeof v4 : sizeof v6) == 0 &&
	    listen(fd, backlog) == 0)
		return fd;
	if (fd >= 0)
		close(fd);
	return -1;
}

static uint32_t accepted(int listener)
{
	uint32_t count = 0;

	for (int fd; listener >= 0 && (fd = accept(listener, NULL, NULL)) >= 0; count++)
		close(fd);
	return count;
}

enum state { ACCEPTS, REFUSES, HOLE };

struct family_case {
	const char *name;
	uint32_t v6, v4; /* addresses in the answers; of v6 only the first is not a link-local one */
	enum state v6_state;
	uint32_t drops, refuses;
	int expected; /* the family that is dialled */
	uint64_t least_ms;
};

struct families {
	struct name_server server;
	struct wire wire;
	int v6, v4, filler[4];
	char address[32];
};

/* Fill the listener's queue: what comes then is dropped. */
static void fill_queue(struct families *f, uint16_t port)
{
	const struct sockaddr_in6 hole = { .sin6_family = AF_INET6, .sin6_port = htons(port),
					   .sin6_addr = IN6ADDR_LOOPBACK_INIT };

	for (int i = 0; i < 4; i++) {
		f->filler[i] = socket(AF_INET6, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
		(void)connect(f->filler[i], (const struct sockaddr *)&hole, sizeof hole);
	}
}

static bool listen_both(struct families *f, enum state v6_state)
{
	struct sockaddr_in here;
	socklen_t size = sizeof here;

	f->v6 = -1;
	f->v4 = listen_at(AF_INET, 0, 8);
	if (!CHECK(f->v4 >= 0 && getsockname(f->v4, (struct sockaddr *)&here, &size) == 0))
		return false;
	snprintf(f->address, sizeof f->address, "both.test:%u", ntohs(here.sin_port));
	if (v6_state == REFUSES)
		return true;
	f->v6 = listen_at(AF_INET6, ntohs(here.sin_port), v6_state == HOLE ? 0 : 8);
	if (f->v6 < 0)
		return false;
	if (v6_state == HOLE)
		fill_queue(f, ntohs(here.sin_port));
	return true;
}

static void answers_both(struct name_server *server, const struct family_case *c)
{
	answers(server, c->v4, "127.0.0.1", "127.0.0.1", 100);
	pthread_mutex_lock(&server->lock);
	server->count6 = c->v6;
	server->drops = c->drops;
	server->refuses = c->refuses;
	server->address6[0] = in6addr_loopback;
	for (uint32_t i = 1; i < c->v6; i++) /* no interface is named: EINVAL, at once */
		server->address6[i] = (struct in6_addr){ .s6_addr = { 0xfe, 0x80, [15] = (uint8_t)i } };
	pthread_mutex_unlock(&server->lock);
}

static bool families_open(struct families *f, const struct family_case *c)
{
	struct kolk_pool_options o = KOLK_INIT(kolk_pool_options);

	*f = (struct families){ .filler = { -1, -1, -1, -1 } };
	if (!server_open(&f->server) || !listen_both(f, c->v6_state))
		return false;
	answers_both(&f->server, c);
	o.address = f->address;
	o.name_servers = f->server.where;
	o.idle_min = KOLK_NONE;
	return wire_engine(&f->wire, NULL) && wire_pool(&f->wire, &o);
}

static void families_close(struct families *f)
{
	wire_close(&f->wire);
	for (int i = 0; i < 4; i++)
		if (f->filler[i] >= 0)
			close(f->filler[i]);
	if (f->v6 >= 0)
		close(f->v6);
	close(f->v4);
	server_close(&f->server);
}

/* One dial, whatever became of its attempts. */
static bool dialled_once(struct families *f, const struct family_case *c)
{
	struct kolk_stats stats;
	struct kolk_lease lease;
	uint64_t began_ms = tap_now_ms();
	bool right;

	if (!CHECK_ERR(kolk_acquire(f->wire.key, kolk_in_ms(3000), &lease), KOLK_OK))
		return false;
	right = CHECK(tap_now_ms() - began_ms >= c->least_ms);
	stats = wire_stats(f->wire.pool);
	right = CHECK(stats.dialled == 1 && stats.created == 1 && stats.dial_failed == 0 &&
		      stats.dial.count == 1) && right;
	if (c->v6_state == ACCEPTS)
		right = CHECK(accepted(f->v6) == (c->expected == AF_INET6)) && right;
	right = CHECK(accepted(f->v4) == (c->expected == AF_INET)) && right;
	return CHECK_ERR(kolk_release(&lease), KOLK_OK) && right;
}

static void families(void)
{
	static const struct family_case cases[] = {
		{ "AAAA alone", 1, 0, ACCEPTS, 0, 0, AF_INET6, 0 },
		{ "AAAA alone, A is dropped", 1, 0, ACCEPTS, TYPE_A, 0, AF_INET6, 45 },
		{ "AAAA alone, A fails", 1, 0, ACCEPTS, 0, TYPE_A, AF_INET6, 0 },
		{ "A alone", 0, 1, ACCEPTS, 0, 0, AF_INET, 0 },
		{ "both", 1, 1, ACCEPTS, 0, 0, AF_INET6, 0 },
		{ "several of both", 3, 2, ACCEPTS, 0, 0, AF_INET6, 0 },
		{ "AAAA refuses", 1, 1, REFUSES, 0, 0, AF_INET, 0 },
		{ "no AAAA of twelve can be reached", 12, 1, REFUSES, 0, 0, AF_INET, 0 },
		{ "AAAA is a black hole", 1, 1, HOLE, 0, 0, AF_INET, 245 },
	};
	int fd = listen_at(AF_INET6, 0, 1);

	if (fd < 0) {
		tap_skip("this machine has no ::1");
		return;
	}
	close(fd);
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct families f;

		if (!CHECK(families_open(&f, &cases[i])) || !dialled_once(&f, &cases[i]))
			tap_note("%s", cases[i].name);
		families_close(&f);
	}
}

/* One family's answer comes after the dial has begun with the other's, which cannot be reached. */
static void late_by(uint32_t type, struct family_case c)
{
	struct families f;
	struct kolk_lease lease;

	MUST(families_open(&f, &c));
	pthread_mutex_lock(&f.server.lock);
	f.server.delays = type;
	f.server.delay_ms = c.v6 > 1 ? 400 : 150; /* longer than attempts wait for each other */
	pthread_mutex_unlock(&f.server.lock);
	if (type == TYPE_AAAA)
		close(f.v4);
	if (!CHECK_ERR(kolk_acquire(f.wire.key, kolk_in_ms(3000), &lease), KOLK_OK))
		tap_note("late: type %u", type);
	else
		CHECK_ERR(kolk_release(&lease), KOLK_OK);
	CHECK(wire_stats(f.wire.pool).dial_failed == 0);
	if (type == TYPE_AAAA)
		f.v4 = listen_at(AF_INET, 0, 1);
	families_close(&f);
}

static void late_family(void)
{
	late_by(TYPE_A, (struct family_case){ "", 1, 1, REFUSES, 0, 0, 0, 0 });
	late_by(TYPE_A, (struct family_case){ "", 3, 1, REFUSES, 0, 0, 0, 0 });
	late_by(TYPE_AAAA, (struct family_case){ "", 1, 1, ACCEPTS, 0, 0, 0, 0 });
}

/* It never comes: the dial does not wait for it as long as for a name. */
static void never_comes(void)
{
	const struct family_case c = { "", 1, 1, REFUSES, TYPE_A, 0, 0, 0 };
	struct kolk_failure failure = KOLK_INIT(kolk_failure);
	struct kit_control control;
	struct kolk_lease lease;
	struct families f;

	MUST(families_open(&f, &c));
	kit_control_begin(&control);
	CHECK_ERR(kolk_acquire(f.wire.key, kolk_in_ms(5000), &lease), KOLK_E_CONN_REFUSED);
	CHECK(kit_control_end(&control) < 2000);
	CHECK(kolk_key_failure(f.wire.key, &failure) && failure.phase == KOLK_PHASE_CONNECT);
	families_close(&f);
}

/* What a family that is not answered for any more had brought is not gone. */
static void lost_later(void)
{
	struct family_case c = { "", 1, 1, ACCEPTS, 0, 0, 0, 0 };
	struct kolk_lease lease;
	struct families f;

	if (!wire_has_time())
		return;
	MUST(families_open(&f, &c));
	pthread_mutex_lock(&f.server.lock);
	f.server.ttl_s = 1;
	pthread_mutex_unlock(&f.server.lock);
	CHECK_ERR(kolk_acquire(f.wire.key, kolk_in_ms(3000), &lease), KOLK_OK);
	CHECK_ERR(kolk_release(&lease), KOLK_OK);
	CHECK(poll(&(struct pollfd){ .fd = f.v6, .events = POLLIN }, 1, 0) == 1);
	pthread_mutex_lock(&f.server.lock);
	f.server.drops = TYPE_AAAA;
	pthread_mutex_unlock(&f.server.lock);
	CHECK(!WITHIN_MS(5000,
			 wire_stats(f.wire.pool).destroyed[KOLK_REASON_NAME_CHANGED] > 0));
	families_close(&f);
}

/* Both families refuse: that is one failed dial, and the failure is the last address's. */
static void both_refuse(void)
{
	const struct family_case c = { "", 1, 1, REFUSES, 0, 0, 0, 0 };
	struct kolk_failure failure = KOLK_INIT(kolk_failure);
	struct kolk_lease lease;
	struct kolk_stats stats;
	struct families f;

	MUST(families_open(&f, &c));
	close(f.v4);
	CHECK_ERR(kolk_acquire(f.wire.key, kolk_in_ms(3000), &lease), KOLK_E_CONN_REFUSED);
	CHECK(kolk_key_failure(f.wire.key, &failure) && failure.phase == KOLK_PHASE_CONNECT);
	stats = wire_stats(f.wire.pool);
	CHECK(stats.created == 0 && stats.dial_failed == 1 &&
	      stats.destroyed[KOLK_REASON_DIAL_FAILED] == 1);
	f.v4 = listen_at(AF_INET, 0, 1);
	families_close(&f);
}

static const struct tap_test tests[] = {
	{ "an answer is kept for its time", kept_for_its_time },
	{ "an answer that is too old serves while a new one is fetched", stale_is_used },
	{ "there is no such name, then there is", no_such_name },
	{ "a name server that is silent", silent_server },
	{ "addresses race", addresses_race },
	{ "a family that is lost is not waited for", one_family_is_lost },
	{ "a family that is the only one is", both_are_lost },
	{ "a name with many addresses", many_addresses },
	{ "a name that loses one of many addresses", one_of_many },
	{ "a name of which each answer is a part", parts_of_many },
	{ "a name that moves takes its connections along", name_moves },
	{ "a family alone, and both of which one cannot be reached", families },
	{ "the family that can be reached comes late", late_family },
	{ "the family that can be reached never comes", never_comes },
	{ "both families refuse", both_refuse },
	{ "a family that is lost later is not gone", lost_later },
};
TAP_TESTS(name, tests);
