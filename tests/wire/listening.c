/* SPDX-License-Identifier: Apache-2.0 */
/* listening.c - see listening.h. */
#define _GNU_SOURCE
#include "tests/wire/listening.h"

#include <dirent.h>
#include <errno.h>
#include <netinet/in.h>
#include <arpa/inet.h>
#include <poll.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "tests/kit/counting.h"
#include "tests/kit/restarted.h"

/* ---- streams */

struct served {
	struct listening *l;
	struct kolk_stream *stream;
	struct kolk_io io;
	bool sending, ended;
	uint32_t pushes;
	size_t size, received;
	uint8_t bytes[];
};

static void on_sent(void *user, enum kolk_err err, size_t size);

static void send_bytes(struct served *s, size_t size)
{
	s->size = size;
	s->sending = CHECK_ERR(kolk_stream_send(s->stream, &s->io, s->bytes, size, on_sent, s),
			       KOLK_PENDING);
	if (s->sending && s->l->lazy)
		kolk_io_lazy(&s->io, true);
}

static void on_sent(void *user, enum kolk_err err, size_t size)
{
	struct served *s = user;

	(void)size;
	s->sending = false;
	if (err != KOLK_OK) {
		kolk__add_relaxed(&s->l->sends_failed, 1);
		return;
	}
	if (s->l->conduct == ECHO) {
		kolk_stream_resume(s->stream);
		if (s->ended)
			kolk_stream_close(s->stream);
	}
	if (s->l->conduct == RESET)
		kolk_stream_reset(s->stream);
	if (s->l->conduct == PUSH && ++s->pushes != s->l->pushes_max) {
		send_bytes(s, s->size);
		if (s->l->closes && s->pushes + 1 == s->l->pushes_max)
			kolk_stream_close(s->stream);
	}
}

static void reply(struct served *s, const void *bytes, size_t size)
{
	memcpy(s->bytes, bytes, size);
	send_bytes(s, size);
}

static void record_most(kolk__atomic_u32 *most, uint32_t now)
{
	uint32_t before = kolk__load_relaxed(most);

	while (now > before && !kolk__cas_acq_rel(most, &before, now))
		;
}

static void *on_open(void *listener_user, struct kolk_stream *stream)
{
	struct listening *l = listener_user;
	struct served *s;

	if (l->conduct == REFUSE)
		return NULL;
	s = calloc(1, sizeof *s + 65536 + l->push_size);
	if (s == NULL)
		return NULL;
	s->l = l;
	s->stream = stream;
	kolk__store_sc(&l->last, stream);
	kolk__store_sc(&l->last_loop, kolk_loop_index(kolk_stream_loop(stream)));
	if (l->conduct == TURNS)
		l->turns[kolk__load_sc(&l->opened) % 2] = stream;
	kolk__add_sc(&l->opened, 1);
	record_most(&l->most, kolk__add_acq_rel(&l->open, 1) + 1);
	if (l->conduct == HOLD)
		kolk_stream_pause(stream);
	return s;
}

/* The other may have more on its way than what it kept. */
static void take_turns(struct served *s, const uint8_t *bytes, size_t size)
{
	struct listening *l = s->l;
	struct kolk_stream *other = l->turns[l->turns[0] == s->stream];

	for (size_t i = 0; i < size; i++)
		if (bytes[i] != (uint8_t)(s->received + i))
			kolk__add_relaxed(&l->mismatches, 1);
	s->received += size;
	if (other == NULL)
		return;
	if (kolk__load_sc(&l->ends) == 0)
		kolk_stream_pause(s->stream);
	kolk_stream_resume(other);
}

static void on_data(void *user, struct kolk_stream *stream, const void *bytes, size_t size)
{
	struct served *s = user;
	struct listening *l = s->l;

	kolk__add_relaxed(&l->received, size);
	kolk__add_relaxed(&l->pieces, 1);
	if (size == 0) {
		s->ended = true;
		kolk__add_sc(&l->ends, 1);
		if (l->conduct == ECHO && !s->sending)
			kolk_stream_close(stream);
		if (l->conduct == TURNS)
			take_turns(s, bytes, 0);
		return;
	}
	if (l->conduct == TURNS)
		take_turns(s, bytes, size);
	if (l->conduct == ECHO) {
		kolk_stream_pause(stream);
		if (size > 65536) { /* what was kept while it was paused */
			kolk_stream_reset(stream);
			return;
		}
		reply(s, bytes, size);
	} else if (l->conduct == PUSH && !s->sending) {
		send_bytes(s, l->push_size);
	} else if (l->conduct == FAREWELL) {
		if (l->push_size > 0)
			send_bytes(s, l->push_size);
		else
			reply(s, "farewell", 8);
		kolk_stream_close(stream);
	} else if (l->conduct == RESET && !s->sending) {
		reply(s, "reset", 5);
	}
}

static void on_end(void *user, struct kolk_stream *stream, enum kolk_err err)
{
	struct served *s = user;
	struct listening *l = s->l;

	(void)stream;
	CHECK(!s->sending);
	free(s);
	kolk__store_sc(&l->last_err, (uint32_t)err);
	kolk__sub_acq_rel(&l->open, 1);
	kolk__add_sc(&l->ended, 1);
}

static const struct kolk_stream_handler handler = {
	.size = sizeof(struct kolk_stream_handler), .open = on_open, .data = on_data, .end = on_end,
};

/* ---- open and close */

static int64_t bytes_before;
static int files_before;

int files_open(void)
{
	DIR *folder = opendir("/proc/self/fd");
	int count = 0;

	while (folder != NULL && readdir(folder) != NULL)
		count++;
	if (folder != NULL)
		closedir(folder);
	return count;
}

enum kolk_err listening_add(struct listening *l, const struct kolk_listener_options *options,
			    struct kolk_failure *failure)
{
	struct kolk_listener_options o = KOLK_INIT(kolk_listener_options);

	if (options != NULL)
		o = *options;
	if (o.address == NULL && o.socket == 0)
		o.address = "127.0.0.1:0";
	o.handler = &handler;
	o.user = l;
	o.failure = failure;
	return kolk_listen(l->engine, &o, &l->listener);
}

bool listening_open(struct listening *l, struct kolk_engine_options *engine,
		    const struct kolk_listener_options *options)
{
	struct kolk_engine_options o = KOLK_INIT(kolk_engine_options);
	struct kolk_failure failure = KOLK_INIT(kolk_failure);

	if (engine != NULL)
		o = *engine;
	if (o.sys == NULL)
		o.sys = counting_sys();
	if (o.loops == 0)
		o.loops = 2;
	o.backend = wire_backend;
	files_before = files_open();
	bytes_before = counting_bytes();
	if (!CHECK_ERR(kolk_engine_create(&o, &l->engine), KOLK_OK))
		return false;
	if (CHECK_ERR(listening_add(l, options, &failure), KOLK_OK))
		return true;
	tap_note("field %s, errno %d", failure.field != NULL ? failure.field : "none",
		 failure.os_error);
	return false;
}

void listening_close(struct listening *l)
{
	const char *law = NULL;

	if (l->engine == NULL)
		return;
	CHECK_ERR(kolk_check(l->engine, &law), KOLK_OK);
	CHECK_ERR(kolk_engine_destroy(l->engine), KOLK_OK);
	if (law != NULL)
		tap_note("broken: %s", law);
	l->engine = NULL;
	CHECK(kolk__load_sc(&l->opened) == kolk__load_sc(&l->ended));
	if (!CHECK(counting_bytes() == bytes_before))
		tap_note("%lld bytes are left", (long long)(counting_bytes() - bytes_before));
	if (!CHECK(WITHIN_MS(1000, files_open() <= files_before + l->clients)))
		tap_note("%d descriptors, %d before", files_open(), files_before);
}

struct order {
	struct kolk_call call;
	struct listening *l;
	void (*run)(struct kolk_stream *stream);
	sem_t done;
};

static void on_call(struct kolk_call *call, void *user)
{
	struct order *order = user;

	(void)call;
	order->run(kolk__load_sc(&order->l->last));
	sem_post(&order->done);
}

void listening_call(struct listening *l, void (*run)(struct kolk_stream *stream))
{
	struct order order = { .l = l, .run = run };

	sem_init(&order.done, 0, 0);
	CHECK_ERR(kolk_loop_call(kolk_stream_loop(kolk__load_sc(&l->last)), &order.call, on_call, &order),
		  KOLK_OK);
	while (sem_wait(&order.done) != 0)
		;
	sem_destroy(&order.done);
}

struct kolk_listener_stats listening_stats(struct listening *l)
{
	struct kolk_listener_stats stats = KOLK_INIT(kolk_listener_stats);

	kolk_listener_stats(l->listener, &stats);
	return stats;
}

/* ---- clients
 *
 * With a time-out calls do not begin again of themselves when the kernel interrupts them, as it does
 * for an io_uring that this thread has made. */

static socklen_t address_of(const char *text, struct sockaddr_storage *to)
{
	struct sockaddr_in *v4 = (struct sockaddr_in *)to;
	struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)to;
	struct sockaddr_un *un = (struct sockaddr_un *)to;
	const char *colon = strrchr(text, ':');
	char host[64];

	memset(to, 0, sizeof *to);
	if (strncmp(text, "unix:", 5) == 0) {
		un->sun_family = AF_UNIX;
		snprintf(un->sun_path, sizeof un->sun_path, "%s", text + 5);
		if (text[5] == '@')
			un->sun_path[0] = 0;
		return (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(text + 5) +
				   (text[5] != '@'));
	}
	snprintf(host, sizeof host, "%.*s", (int)(colon - text), text);
	if (host[0] == '[') {
		host[strlen(host) - 1] = 0;
		v6->sin6_family = AF_INET6;
		v6->sin6_port = htons((uint16_t)atoi(colon + 1));
		inet_pton(AF_INET6, host + 1, &v6->sin6_addr);
		return sizeof *v6;
	}
	v4->sin_family = AF_INET;
	v4->sin_port = htons((uint16_t)atoi(colon + 1));
	inet_pton(AF_INET, host, &v4->sin_addr);
	return sizeof *v4;
}

bool client_connect(int fd, const char *address)
{
	struct sockaddr_storage to;
	socklen_t size = address_of(address, &to);
	struct timeval patience = { .tv_sec = 5 };

	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
	if (connect(fd, (struct sockaddr *)&to, size) == 0 || errno == EINPROGRESS)
		return true;
	/* It went on: connect(2). */
	return errno == EINTR && poll(&(struct pollfd){ .fd = fd, .events = POLLOUT }, 1, 5000) == 1;
}

static int client_socket(const char *address, int flags)
{
	struct sockaddr_storage to;
	int fd;

	address_of(address, &to);
	fd = socket(to.ss_family, SOCK_STREAM | SOCK_CLOEXEC | flags, 0);
	if (fd >= 0 && !client_connect(fd, address)) {
		close(fd);
		fd = -1;
	}
	return fd;
}

int client_dial(const char *address)
{
	return client_socket(address, 0);
}

int client_begin(const char *address)
{
	return client_socket(address, SOCK_NONBLOCK);
}

bool client_send(int fd, const void *bytes, size_t size)
{
	const char *at = bytes;

	while (size > 0) {
		ssize_t sent = kit_send(fd, at, size);

		if (sent <= 0)
			return false;
		at += sent;
		size -= (size_t)sent;
	}
	return true;
}

size_t client_recv(int fd, void *bytes, size_t size)
{
	size_t have = 0;

	while (have < size) {
		ssize_t got = kit_recv(fd, (char *)bytes + have, size - have, 0);

		if (got <= 0)
			break;
		have += (size_t)got;
	}
	return have;
}

int client_next(int fd)
{
	char bytes[4096];
	ssize_t got = kit_recv(fd, bytes, sizeof bytes, 0);

	return got >= 0 ? (int)got : -errno;
}

bool client_echoes(int fd, size_t size)
{
	uint8_t *out = malloc(size), *in = malloc(size);
	bool same;

	for (size_t i = 0; i < size; i++)
		out[i] = (uint8_t)(i * 31 + size);
	same = client_send(fd, out, size) && client_recv(fd, in, size) == size &&
	       memcmp(in, out, size) == 0;
	free(in);
	free(out);
	return same;
}

void client_reset(int fd)
{
	struct linger now = { .l_onoff = 1 };

	setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof now);
	close(fd);
}
