/* SPDX-License-Identifier: Apache-2.0 */
/* origin.c - one thread, epoll, mbedTLS on non-blocking sockets. */
#define _GNU_SOURCE
#include "tests/kit/origin.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <mbedtls/ssl_ticket.h>

#include "core/base/atomic.h"
#include "transport/tls_compat.h"

enum { BUFFER = 65536, EVENTS = 64 };

struct peer {
	struct peer *next, **prev;
	struct kit_origin *origin;
	int fd;
	bool handshaken, closing;
	uint32_t answers;
	size_t in_size, out_size, refused;
	mbedtls_ssl_context ssl;
	char in[BUFFER], out[BUFFER];
};

struct kit_origin {
	int epoll, listener, event;
	uint16_t port;
	pthread_t thread;
	kolk__atomic_u32 behaviour, after;
	const char *greeting;
	kolk__atomic_u32 command;  /* 0 none, 1 FIN all, 2 RST all, 3 stop */
	kolk__atomic_u32 served;   /* commands done */
	bool tls;
	struct peer *peers;
	kolk__atomic_u64 accepted, answered, handshakes, resumed, failed_handshakes, ended, unsolicited;
	kolk__atomic_u32 open, last_port;
	mbedtls_entropy_context entropy;
	mbedtls_ctr_drbg_context drbg;
	mbedtls_ssl_config config;
	mbedtls_x509_crt crt;
	mbedtls_pk_context key;
	mbedtls_ssl_ticket_context tickets;
	char *unix_path;
};

/* ---- the ends of a peer */

static void linger_off(int fd)
{
	struct linger linger = { 1, 0 };

	setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof linger);
}

static void peer_end(struct peer *peer, bool polite)
{
	struct kit_origin *origin = peer->origin;

	if (origin->tls && polite && peer->handshaken)
		(void)mbedtls_ssl_close_notify(&peer->ssl);
	if (origin->tls)
		mbedtls_ssl_free(&peer->ssl);
	/* close alone would leave it in the set while a child between clone and exec has a copy */
	epoll_ctl(origin->epoll, EPOLL_CTL_DEL, peer->fd, NULL);
	close(peer->fd);
	*peer->prev = peer->next;
	if (peer->next != NULL)
		peer->next->prev = peer->prev;
	free(peer);
	kolk__add_relaxed(&origin->ended, 1);
	kolk__sub_acq_rel(&origin->open, 1);
}

/* ---- bytes */

static int tls_send(void *user, const unsigned char *bytes, size_t size)
{
	ssize_t sent = send(((struct peer *)user)->fd, bytes, size, MSG_NOSIGNAL);

	return sent >= 0 ? (int)sent : errno == EAGAIN ? MBEDTLS_ERR_SSL_WANT_WRITE : -1;
}

static int tls_recv(void *user, unsigned char *bytes, size_t size)
{
	ssize_t received = recv(((struct peer *)user)->fd, bytes, size, 0);

	return received >= 0 ? (int)received : errno == EAGAIN ? MBEDTLS_ERR_SSL_WANT_READ : -1;
}

/* > 0 bytes, 0 = nothing now, -1 = the end */
static long peer_read(struct peer *peer, void *bytes, size_t size)
{
	long got;

	if (peer->origin->tls) {
		got = mbedtls_ssl_read(&peer->ssl, bytes, size);
		if (kolk__tls_is_ticket((int)got) || got == MBEDTLS_ERR_SSL_WANT_READ ||
		    got == MBEDTLS_ERR_SSL_WANT_WRITE)
			return 0;
	} else {
		got = recv(peer->fd, bytes, size, 0);
		if (got < 0 && errno == EAGAIN)
			return 0;
	}
	return got > 0 ? got : -1;
}

static long peer_write(struct peer *peer, const void *bytes, size_t size)
{
	long sent;

	if (peer->origin->tls) {
		/* A write that was refused must be repeated as it was: with more bytes mbedTLS
		 * says that it took them all and loses what is new. */
		size = peer->refused != 0 ? peer->refused : size;
		sent = mbedtls_ssl_write(&peer->ssl, bytes, size);
		peer->refused = 0;
		if (sent == MBEDTLS_ERR_SSL_WANT_WRITE || sent == MBEDTLS_ERR_SSL_WANT_READ) {
			peer->refused = size;
			return 0;
		}
	} else {
		sent = send(peer->fd, bytes, size, MSG_NOSIGNAL);
		if (sent < 0 && errno == EAGAIN)
			return 0;
	}
	return sent > 0 ? sent : -1;
}

/* False when the peer is gone. */
static bool flush(struct peer *peer)
{
	size_t done = 0;

	while (done < peer->out_size) {
		long sent = peer_write(peer, peer->out + done, peer->out_size - done);

		if (sent < 0)
			return false;
		if (sent == 0)
			break;
		done += (size_t)sent;
	}
	peer->out_size -= done;
	memmove(peer->out, peer->out + done, peer->out_size);
	return true;
}

/* What stands in front of PING when a Redis driver says it. */
static bool is_resp(const char *line, size_t size)
{
	return size == 4 && (memcmp(line, "*1\r\n", 4) == 0 || memcmp(line, "$4\r\n", 4) == 0);
}

static const char pong[] = "+PONG\r\n";
static const char response[] = "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 6\r\n"
			       "\r\nhello\n";

static void answer(struct peer *peer, const char *line, size_t size)
{
	const bool http = kolk__load_relaxed(&peer->origin->behaviour) == KIT_HTTP;
	const bool empty = size == 2 && line[0] == '\r';
	const char *text = line;

	if (is_resp(line, size) || (http && !empty))
		return;
	if (http) {
		text = response;
		size = sizeof response - 1;
	} else if (size == 6 && memcmp(line, "PING\r\n", 6) == 0) {
		text = pong;
		size = sizeof pong - 1;
	}
	memcpy(peer->out + peer->out_size, text, size);
	peer->out_size += size;
	peer->answers++;
	kolk__add_relaxed(&peer->origin->answered, 1);
}

/* True when something was answered. */
static bool answer_lines(struct peer *peer)
{
	size_t begin = 0;
	char *end;

	while ((end = memchr(peer->in + begin, '\n', peer->in_size - begin)) != NULL) {
		size_t size = (size_t)(end + 1 - (peer->in + begin));

		if (peer->out_size + size + sizeof response > BUFFER)
			break; /* it does not read: neither do we */
		if (kolk__load_relaxed(&peer->origin->behaviour) != KIT_SILENT)
			answer(peer, peer->in + begin, size);
		begin += size;
	}
	peer->in_size -= begin;
	memmove(peer->in, peer->in + begin, peer->in_size);
	return begin > 0;
}

/* The requested behaviour after so many answers; false when the peer is gone. */
static bool misbehave(struct peer *peer)
{
	struct kit_origin *origin = peer->origin;
	uint32_t behaviour = kolk__load_relaxed(&origin->behaviour);
	bool went;

	if (peer->answers < kolk__load_relaxed(&origin->after) || behaviour <= KIT_SILENT ||
	    peer->out_size > 0 || peer->closing)
		return true;
	if (behaviour == KIT_HALF_CLOSE) {
		shutdown(peer->fd, SHUT_WR);
		peer->closing = true;
		return true;
	}
	if (behaviour == KIT_JUNK) {
		usleep(2000);
		peer->closing = true;
		answer(peer, "junk\n", 5);
		went = flush(peer);
		kolk__add_relaxed(&peer->origin->unsolicited, 1);
		return went;
	}
	if (behaviour == KIT_RESET)
		linger_off(peer->fd);
	peer_end(peer, behaviour == KIT_CLOSE);
	return false;
}

/* ---- steps */

static bool handshake_step(struct peer *peer)
{
	int result = mbedtls_ssl_handshake(&peer->ssl);

	if (result == MBEDTLS_ERR_SSL_WANT_READ || result == MBEDTLS_ERR_SSL_WANT_WRITE)
		return true;
	if (result != 0) {
		kolk__add_relaxed(&peer->origin->failed_handshakes, 1);
		return false;
	}
	peer->handshaken = true;
	if (peer->origin->greeting != NULL) {
		peer->out_size = strlen(peer->origin->greeting);
		memcpy(peer->out, peer->origin->greeting, peer->out_size);
	}
	kolk__add_relaxed(&peer->origin->handshakes, 1);
	return true;
}

static void peer_step(struct peer *peer)
{
	bool answered = false;
	long got = 1;

	if (peer->origin->tls && !peer->handshaken) {
		if (!handshake_step(peer)) {
			peer_end(peer, false);
			return;
		}
		if (!peer->handshaken)
			return;
	}
	while (got > 0 || answered) {
		got = 0;
		if (peer->in_size == BUFFER && peer->out_size == 0) /* a line without end */
			peer->in_size = 0;
		if (peer->in_size < BUFFER)
			got = peer_read(peer, peer->in + peer->in_size, BUFFER - peer->in_size);
		if (got > 0)
			peer->in_size += (size_t)got;
		answered = answer_lines(peer);
		if (!flush(peer)) {
			peer_end(peer, false);
			return;
		}
	}
	if (misbehave(peer) && got < 0)
		peer_end(peer, true);
}

static void accept_all(struct kit_origin *origin)
{
	struct epoll_event event = { .events = EPOLLIN | EPOLLOUT | EPOLLET };
	int fd, one = 1;

	struct sockaddr_in from = { 0 };
	socklen_t size = sizeof from;

	while ((fd = accept4(origin->listener, (struct sockaddr *)&from, &size,
			     SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
		struct peer *peer = calloc(1, sizeof *peer);

		kolk__store_relaxed(&origin->last_port,
				    from.sin_family == AF_INET ? ntohs(from.sin_port) : 0u);
		size = sizeof from;

		if (peer == NULL) {
			close(fd);
			return;
		}
		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
		peer->origin = origin;
		peer->fd = fd;
		if (origin->tls) {
			mbedtls_ssl_init(&peer->ssl);
			mbedtls_ssl_setup(&peer->ssl, &origin->config);
			mbedtls_ssl_set_bio(&peer->ssl, peer, tls_send, tls_recv, NULL);
		}
		peer->next = origin->peers;
		peer->prev = &origin->peers;
		if (peer->next != NULL)
			peer->next->prev = &peer->next;
		origin->peers = peer;
		kolk__add_relaxed(&origin->accepted, 1);
		kolk__add_acq_rel(&origin->open, 1);
		event.data.ptr = peer;
		epoll_ctl(origin->epoll, EPOLL_CTL_ADD, fd, &event);
	}
}

static void end_all(struct kit_origin *origin, bool reset)
{
	while (origin->peers != NULL) {
		if (reset)
			linger_off(origin->peers->fd);
		peer_end(origin->peers, !reset);
	}
}

/* Returns false when it shall stop. All other events of the batch are stale after it. */
static bool obey(struct kit_origin *origin)
{
	uint64_t count;
	uint32_t command = kolk__exchange_sc(&origin->command, 0);

	if (read(origin->event, &count, sizeof count) < 0 || command == 0)
		return true;
	end_all(origin, command == 2);
	kolk__add_sc(&origin->served, 1);
	return command != 3;
}

static void *run(void *arg)
{
	struct kit_origin *origin = arg;
	struct epoll_event events[EVENTS];

	for (;;) {
		int count = epoll_wait(origin->epoll, events, EVENTS, -1);
		bool command = false;

		for (int i = 0; i < count; i++) {
			if (events[i].data.ptr == NULL)
				command = true;
			else if (events[i].data.ptr == origin)
				accept_all(origin);
			else
				peer_step(events[i].data.ptr);
		}
		if (command && !obey(origin))
			return NULL;
	}
}

/* ---- open and close */

static int ticket_write(void *user, const mbedtls_ssl_session *session, unsigned char *start,
			const unsigned char *end, size_t *size, uint32_t *lifetime)
{
	return mbedtls_ssl_ticket_write(&((struct kit_origin *)user)->tickets, session, start, end,
					size, lifetime);
}

static int ticket_parse(void *user, mbedtls_ssl_session *session, unsigned char *bytes, size_t size)
{
	struct kit_origin *origin = user;
	int result = mbedtls_ssl_ticket_parse(&origin->tickets, session, bytes, size);

	kolk__add_relaxed(&origin->resumed, result == 0);
	return result;
}

static bool tls_open(struct kit_origin *origin, const struct kit_origin_options *options)
{
	const struct kit_cert *cert = options->cert;
	const unsigned char *key = (const unsigned char *)cert->key;

	if (kolk__tls_library_init() != 0 ||
	    mbedtls_ctr_drbg_seed(&origin->drbg, mbedtls_entropy_func, &origin->entropy, NULL, 0) !=
		    0 ||
	    mbedtls_x509_crt_parse(&origin->crt, (const unsigned char *)cert->pem,
				   strlen(cert->pem) + 1) != 0 ||
#if MBEDTLS_VERSION_NUMBER >= 0x03000000
	    mbedtls_pk_parse_key(&origin->key, key, strlen(cert->key) + 1, NULL, 0,
				 mbedtls_ctr_drbg_random, &origin->drbg) != 0 ||
#else
	    mbedtls_pk_parse_key(&origin->key, key, strlen(cert->key) + 1, NULL, 0) != 0 ||
#endif
	    mbedtls_ssl_config_defaults(&origin->config, MBEDTLS_SSL_IS_SERVER,
					MBEDTLS_SSL_TRANSPORT_STREAM,
					MBEDTLS_SSL_PRESET_DEFAULT) != 0 ||
	    mbedtls_ssl_conf_own_cert(&origin->config, &origin->crt, &origin->key) != 0 ||
	    mbedtls_ssl_ticket_setup(&origin->tickets, mbedtls_ctr_drbg_random, &origin->drbg,
				     MBEDTLS_CIPHER_AES_256_GCM, 3600) != 0)
		return false;
	mbedtls_ssl_conf_rng(&origin->config, mbedtls_ctr_drbg_random, &origin->drbg);
	mbedtls_ssl_conf_session_tickets_cb(&origin->config, ticket_write, ticket_parse, origin);
	return options->alpn == NULL ||
	       mbedtls_ssl_conf_alpn_protocols(&origin->config,
					       (const char **)(uintptr_t)options->alpn) == 0;
}

static bool listen_unix(struct kit_origin *origin, const char *path)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };

	snprintf(address.sun_path, sizeof address.sun_path, "%s", path);
	unlink(path);
	origin->unix_path = strdup(path);
	origin->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	return bind(origin->listener, (struct sockaddr *)&address, sizeof address) == 0;
}

static bool listen_tcp(struct kit_origin *origin)
{
	struct sockaddr_in address = { .sin_family = AF_INET,
				       .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t size = sizeof address;

	origin->listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (bind(origin->listener, (struct sockaddr *)&address, size) != 0 ||
	    getsockname(origin->listener, (struct sockaddr *)&address, &size) != 0)
		return false;
	origin->port = ntohs(address.sin_port);
	return true;
}

static bool start(struct kit_origin *origin, const struct kit_origin_options *options)
{
	struct epoll_event event = { .events = EPOLLIN, .data.ptr = origin };

	origin->tls = options->cert != NULL;
	if (origin->tls && !tls_open(origin, options))
		return false;
	if (!(options->unix_path != NULL ? listen_unix(origin, options->unix_path) :
					   listen_tcp(origin)) ||
	    listen(origin->listener, 4096) != 0)
		return false;
	origin->epoll = epoll_create1(EPOLL_CLOEXEC);
	origin->event = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	if (epoll_ctl(origin->epoll, EPOLL_CTL_ADD, origin->listener, &event) != 0)
		return false;
	event.data.ptr = NULL;
	return epoll_ctl(origin->epoll, EPOLL_CTL_ADD, origin->event, &event) == 0 &&
	       pthread_create(&origin->thread, NULL, run, origin) == 0;
}

static void release(struct kit_origin *origin)
{
	if (origin->unix_path != NULL)
		unlink(origin->unix_path);
	free(origin->unix_path);
	close(origin->listener);
	close(origin->epoll);
	close(origin->event);
	mbedtls_ssl_config_free(&origin->config);
	mbedtls_ssl_ticket_free(&origin->tickets);
	mbedtls_x509_crt_free(&origin->crt);
	mbedtls_pk_free(&origin->key);
	mbedtls_ctr_drbg_free(&origin->drbg);
	mbedtls_entropy_free(&origin->entropy);
	free(origin);
}

struct kit_origin *kit_origin_open(const struct kit_origin_options *options)
{
	struct kit_origin *origin = calloc(1, sizeof *origin);

	if (origin == NULL)
		return NULL;
	kolk__store_relaxed(&origin->behaviour, (uint32_t)options->behaviour);
	kolk__store_relaxed(&origin->after, options->after);
	origin->greeting = options->greeting;
	origin->epoll = origin->listener = origin->event = -1;
	mbedtls_entropy_init(&origin->entropy);
	mbedtls_ctr_drbg_init(&origin->drbg);
	mbedtls_ssl_config_init(&origin->config);
	mbedtls_x509_crt_init(&origin->crt);
	mbedtls_pk_init(&origin->key);
	mbedtls_ssl_ticket_init(&origin->tickets);
	if (start(origin, options))
		return origin;
	release(origin);
	return NULL;
}

static void command(struct kit_origin *origin, uint32_t what)
{
	uint32_t before = kolk__load_acquire(&origin->served);
	uint64_t one = 1;

	kolk__exchange_sc(&origin->command, what);
	while (kolk__load_acquire(&origin->served) == before) {
		if (write(origin->event, &one, sizeof one) < 0)
			return;
		usleep(100);
	}
}

void kit_origin_close(struct kit_origin *origin)
{
	if (origin == NULL)
		return;
	command(origin, 3);
	pthread_join(origin->thread, NULL);
	release(origin);
}

void kit_origin_hang_up(struct kit_origin *origin, bool reset)
{
	command(origin, reset ? 2 : 1);
}

void kit_origin_behave(struct kit_origin *origin, enum kit_behaviour behaviour, uint32_t after)
{
	kolk__store_relaxed(&origin->after, after);
	kolk__store_relaxed(&origin->behaviour, (uint32_t)behaviour);
}

uint16_t kit_origin_port(const struct kit_origin *origin)
{
	return origin->port;
}

struct kit_origin_counts kit_origin_counts(const struct kit_origin *origin)
{
	return (struct kit_origin_counts){
		.accepted = kolk__load_relaxed(&origin->accepted),
		.answered = kolk__load_relaxed(&origin->answered),
		.handshakes = kolk__load_relaxed(&origin->handshakes),
		.resumed = kolk__load_relaxed(&origin->resumed),
		.failed_handshakes = kolk__load_relaxed(&origin->failed_handshakes),
		.ended = kolk__load_relaxed(&origin->ended),
		.unsolicited = kolk__load_relaxed(&origin->unsolicited),
		.open = kolk__load_relaxed(&origin->open),
	};
}

uint32_t kit_origin_last_port(const struct kit_origin *origin)
{
	return kolk__load_relaxed(&origin->last_port);
}
