/* SPDX-License-Identifier: Apache-2.0 */
/* mock.c - a thread that accepts, a thread per connection, sockets that do not block, poll. */
#define _GNU_SOURCE
#include "tests/kit/mock.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "core/base/atomic.h"
#include "tests/kit/tap.h"
#include "transport/tls_compat.h"

enum { BUFFER = 65536, FOREVER = -1, HANDSHAKE_MS = 10000, PATH = 120 };

struct kit_mock {
	struct kit_mock_options options;
	char address[PATH];
	uint16_t port;
	int listener, stop;
	pthread_t thread;
	pthread_mutex_t lock; /* of all below */
	pthread_cond_t ended;
	struct kit_mock_counts counts;
	uint64_t *executed; /* ids, as they came */
	size_t capacity;
};

/* TLS of one connection: nothing is shared, so nothing needs a lock. */
struct tls {
	mbedtls_ssl_context ssl;
	mbedtls_ssl_config config;
	mbedtls_x509_crt crt;
	mbedtls_pk_context key;
	mbedtls_entropy_context entropy;
	mbedtls_ctr_drbg_context drbg;
};

struct kit_mock_conn {
	struct kit_mock *mock;
	uint32_t number;
	int fd; /* -1 = ended */
	struct tls *tls;
	bool ended; /* the peer's direction, or all of it */
	size_t cut; /* kit_mock_cut_records */
	const kolk__atomic_u32 *gate;
	kolk__atomic_u32 *half; /* 1 = the first segment has come */
	uint64_t wire_out;
	size_t size;
	char buffer[BUFFER]; /* read, not taken */
};

/* ---- waiting */

/* True when the socket is ready for it; false = not within ms, or the mock closes. */
static bool ready(struct kit_mock_conn *conn, short events, int ms)
{
	struct pollfd fds[2] = { { .fd = conn->fd, .events = events },
				 { .fd = conn->mock->stop, .events = POLLIN } };

	while (poll(fds, 2, ms) < 0)
		if (errno != EINTR)
			return false;
	return fds[1].revents == 0 && fds[0].revents != 0;
}

bool kit_mock_wait(struct kit_mock_conn *conn, uint32_t us)
{
	struct pollfd stop = { .fd = conn->mock->stop, .events = POLLIN };
	const struct timespec time = { us / 1000000, (long)(us % 1000000) * 1000 };

	return ppoll(&stop, 1, &time, NULL) == 0;
}

bool kit_mock_hold(struct kit_mock_conn *conn, bool hold)
{
	int on = hold;

	return setsockopt(conn->fd, IPPROTO_TCP, TCP_CORK, &on, sizeof on) == 0;
}

static int left(uint64_t until)
{
	uint64_t now = tap_now_ms();

	return until == UINT64_MAX ? -1 : now < until ? (int)(until - now) : 0;
}

static uint64_t end_of(int ms)
{
	return ms < 0 ? UINT64_MAX : tap_now_ms() + (uint64_t)ms;
}

/* ---- TLS */

void kit_mock_arrive(struct kit_mock_conn *conn)
{
	uint64_t until = end_of(5000);
	struct tcp_info info = { 0 };
	socklen_t size = sizeof info;

	while (conn->fd >= 0 && left(until) > 0 &&
	       getsockopt(conn->fd, IPPROTO_TCP, TCP_INFO, &info, &size) == 0 &&
	       info.tcpi_unacked > 0 && kit_mock_wait(conn, 200))
		;
}

static void wait_for_gate(struct kit_mock_conn *conn)
{
	uint64_t until = end_of(5000);

	kit_mock_arrive(conn);
	kolk__store_release(conn->half, 1);
	while (!kolk__load_acquire(conn->gate) && left(until) > 0 && kit_mock_wait(conn, 200))
		;
}

/* mbedTLS hands over one record at a time. */
static int bio_send(void *user, const unsigned char *data, size_t size)
{
	struct kit_mock_conn *conn = user;
	size_t cut = conn->cut < size ? conn->cut : 0;
	ssize_t sent;

	if (cut > 0 && send(conn->fd, data, cut, MSG_NOSIGNAL) == (ssize_t)cut)
		wait_for_gate(conn);
	sent = send(conn->fd, data + cut, size - cut, MSG_NOSIGNAL);
	if (cut > 0 && sent >= 0)
		sent += (ssize_t)cut;
	conn->wire_out += sent > 0 ? (uint64_t)sent : 0;
	return sent >= 0 ? (int)sent : errno == EAGAIN ? MBEDTLS_ERR_SSL_WANT_WRITE : -1;
}

static int bio_recv(void *user, unsigned char *data, size_t size)
{
	ssize_t got = recv(((struct kit_mock_conn *)user)->fd, data, size, 0);

	return got >= 0 ? (int)got : errno == EAGAIN ? MBEDTLS_ERR_SSL_WANT_READ : -1;
}

static void tls_free(struct tls *tls)
{
	if (tls == NULL)
		return;
	mbedtls_ssl_free(&tls->ssl);
	mbedtls_ssl_config_free(&tls->config);
	mbedtls_x509_crt_free(&tls->crt);
	mbedtls_pk_free(&tls->key);
	mbedtls_ctr_drbg_free(&tls->drbg);
	mbedtls_entropy_free(&tls->entropy);
	free(tls);
}

static bool tls_setup(struct tls *tls, const struct kit_mock_options *options)
{
	const struct kit_cert *cert = options->cert;
	const unsigned char *key = (const unsigned char *)cert->key;

	if (mbedtls_ctr_drbg_seed(&tls->drbg, mbedtls_entropy_func, &tls->entropy, NULL, 0) !=
		    0 ||
	    mbedtls_x509_crt_parse(&tls->crt, (const unsigned char *)cert->pem,
				   strlen(cert->pem) + 1) != 0 ||
#if MBEDTLS_VERSION_NUMBER >= 0x03000000
	    mbedtls_pk_parse_key(&tls->key, key, strlen(cert->key) + 1, NULL, 0,
				 mbedtls_ctr_drbg_random, &tls->drbg) != 0 ||
#else
	    mbedtls_pk_parse_key(&tls->key, key, strlen(cert->key) + 1, NULL, 0) != 0 ||
#endif
	    mbedtls_ssl_config_defaults(&tls->config, MBEDTLS_SSL_IS_SERVER,
					MBEDTLS_SSL_TRANSPORT_STREAM,
					MBEDTLS_SSL_PRESET_DEFAULT) != 0 ||
	    mbedtls_ssl_conf_own_cert(&tls->config, &tls->crt, &tls->key) != 0)
		return false;
	mbedtls_ssl_conf_rng(&tls->config, mbedtls_ctr_drbg_random, &tls->drbg);
	return (options->alpn == NULL ||
		mbedtls_ssl_conf_alpn_protocols(
			&tls->config, (const char **)(uintptr_t)options->alpn) == 0) &&
	       mbedtls_ssl_setup(&tls->ssl, &tls->config) == 0;
}

static bool tls_new(struct kit_mock_conn *conn)
{
	struct tls *tls = calloc(1, sizeof *tls);

	if (tls == NULL)
		return false;
	mbedtls_ssl_init(&tls->ssl);
	mbedtls_ssl_config_init(&tls->config);
	mbedtls_x509_crt_init(&tls->crt);
	mbedtls_pk_init(&tls->key);
	mbedtls_ctr_drbg_init(&tls->drbg);
	mbedtls_entropy_init(&tls->entropy);
	if (!tls_setup(tls, &conn->mock->options)) {
		tls_free(tls);
		return false;
	}
	mbedtls_ssl_set_bio(&tls->ssl, conn, bio_send, bio_recv, NULL);
	conn->tls = tls;
	return true;
}

/* What mbedTLS waits for; 0 = nothing, it is an error. */
static short tls_events(int result)
{
	return result == MBEDTLS_ERR_SSL_WANT_READ    ? POLLIN
	       : result == MBEDTLS_ERR_SSL_WANT_WRITE ? POLLOUT
						      : 0;
}

static void count(struct kit_mock_conn *conn, uint64_t *counter, uint64_t by)
{
	pthread_mutex_lock(&conn->mock->lock);
	*counter += by;
	pthread_mutex_unlock(&conn->mock->lock);
}

bool kit_mock_start_tls(struct kit_mock_conn *conn)
{
	struct kit_mock_counts *counts = &conn->mock->counts;
	int result;

	if (conn->fd < 0 || conn->tls != NULL || !tls_new(conn))
		return false;
	while ((result = mbedtls_ssl_handshake(&conn->tls->ssl)) != 0) {
		if (tls_events(result) == 0 || !ready(conn, tls_events(result), HANDSHAKE_MS)) {
			count(conn, &counts->failed_handshakes, 1);
			conn->ended = true;
			return false;
		}
	}
	count(conn, &counts->handshakes, 1);
	return true;
}

const char *kit_mock_alpn(const struct kit_mock_conn *conn)
{
	return conn->tls != NULL ? mbedtls_ssl_get_alpn_protocol(&conn->tls->ssl) : NULL;
}

/* ---- bytes */

/* > 0 bytes; 0 = nothing now, *events says what to wait for; -1 = the end. */
static long read_now(struct kit_mock_conn *conn, void *data, size_t size, short *events)
{
	long got;

	*events = POLLIN;
	if (conn->tls != NULL) {
		got = mbedtls_ssl_read(&conn->tls->ssl, data, size);
		if (kolk__tls_is_ticket((int)got))
			return 0;
		*events = got < 0 ? tls_events((int)got) : POLLIN;
		return got > 0 ? got : got < 0 && *events != 0 ? 0 : -1;
	}
	got = recv(conn->fd, data, size, 0);
	return got > 0 ? got : got < 0 && errno == EAGAIN ? 0 : -1;
}

/* Fill the buffer with at least a byte more. */
static bool fill(struct kit_mock_conn *conn, int ms)
{
	uint64_t until = end_of(ms);
	short events = 0;
	long got = 0;

	while (!conn->ended && conn->size < BUFFER) {
		got = read_now(conn, conn->buffer + conn->size, BUFFER - conn->size, &events);
		if (got != 0)
			break;
		if (!ready(conn, events, left(until)))
			return false;
	}
	if (got <= 0) {
		conn->ended = conn->ended || got < 0;
		return false;
	}
	conn->size += (size_t)got;
	count(conn, &conn->mock->counts.bytes_in, (uint64_t)got);
	return true;
}

static void consume(struct kit_mock_conn *conn, void *data, size_t size)
{
	if (data != NULL)
		memcpy(data, conn->buffer, size);
	conn->size -= size;
	memmove(conn->buffer, conn->buffer + size, conn->size);
}

bool kit_mock_read_until(struct kit_mock_conn *conn, const char *delimiter, char *text,
			 size_t size, int ms)
{
	uint64_t until = end_of(ms);
	size_t length = strlen(delimiter), whole = 0;

	for (;;) {
		const char *found = memmem(conn->buffer, conn->size, delimiter, length);

		if (found != NULL) {
			whole = (size_t)(found - conn->buffer) + length;
			break;
		}
		if (conn->size >= size - 1 || !fill(conn, left(until)))
			break;
	}
	if (whole == 0 || whole > size - 1) {
		size_t some = conn->size < size - 1 ? conn->size : size - 1;

		if (some > 0) { /* else a test may be looking at the last message */
			consume(conn, text, some);
			text[some] = '\0';
		}
		return false;
	}
	consume(conn, text, whole);
	text[whole] = '\0';
	return true;
}

size_t kit_mock_read_some(struct kit_mock_conn *conn, void *data, size_t size, int ms)
{
	if (conn->size == 0 && !fill(conn, ms))
		return 0;
	size = size < conn->size ? size : conn->size;
	consume(conn, data, size);
	return size;
}

bool kit_mock_read(struct kit_mock_conn *conn, void *data, size_t size, int ms)
{
	uint64_t until = end_of(ms);
	char *to = data;

	for (size_t got; size > 0; size -= got) {
		got = kit_mock_read_some(conn, to, size, left(until));
		if (got == 0)
			return false;
		to = to != NULL ? to + got : NULL;
	}
	return true;
}

bool kit_mock_drain(struct kit_mock_conn *conn, int ms)
{
	uint64_t until = end_of(ms);

	do
		conn->size = 0;
	while (fill(conn, left(until)));
	return conn->ended;
}

bool kit_mock_has_ended(const struct kit_mock_conn *conn)
{
	return conn->ended;
}

bool kit_mock_send(struct kit_mock_conn *conn, const void *data, size_t size)
{
	const char *from = data;

	while (size > 0 && conn->fd >= 0) {
		short events = POLLOUT;
		long sent;

		if (conn->tls != NULL) {
			sent = mbedtls_ssl_write(&conn->tls->ssl, (const void *)from, size);
			events = sent < 0 ? tls_events((int)sent) : POLLOUT;
		} else {
			sent = send(conn->fd, from, size, MSG_NOSIGNAL);
			conn->wire_out += sent > 0 ? (uint64_t)sent : 0;
			events = sent < 0 && errno != EAGAIN ? 0 : POLLOUT;
		}
		if (sent < 0 && (events == 0 || !ready(conn, events, FOREVER)))
			return false;
		if (sent > 0) {
			from += sent;
			size -= (size_t)sent;
			count(conn, &conn->mock->counts.bytes_out, (uint64_t)sent);
		}
	}
	return size == 0;
}

bool kit_mock_say(struct kit_mock_conn *conn, const char *text)
{
	return kit_mock_send(conn, text, strlen(text));
}

/* The library has it, its headers do not. */
int mbedtls_ssl_write_record(mbedtls_ssl_context *ssl, int force_flush);
int mbedtls_ssl_flush_output(mbedtls_ssl_context *ssl);

bool kit_mock_send_record(struct kit_mock_conn *conn, int type, const void *data, size_t size)
{
	mbedtls_ssl_context *ssl = &conn->tls->ssl;
	int result;

	if (conn->fd < 0 || ssl->MBEDTLS_PRIVATE(out_left) != 0) /* the one before did not get out */
		return false;
	ssl->MBEDTLS_PRIVATE(out_msgtype) = type;
	ssl->MBEDTLS_PRIVATE(out_msglen) = size;
	memcpy(ssl->MBEDTLS_PRIVATE(out_msg), data, size);
	result = mbedtls_ssl_write_record(ssl, 1);
	while (result != 0 && tls_events(result) != 0 && ready(conn, tls_events(result), FOREVER))
		result = mbedtls_ssl_flush_output(ssl);
	return result == 0;
}

void kit_mock_cut_records(struct kit_mock_conn *conn, size_t at, const kolk__atomic_u32 *gate,
			  kolk__atomic_u32 *half)
{
	conn->cut = at;
	conn->gate = gate;
	conn->half = half;
}

uint64_t kit_mock_wire_out(const struct kit_mock_conn *conn)
{
	return conn->wire_out;
}

bool kit_mock_send_slowly(struct kit_mock_conn *conn, const void *data, size_t size,
			  size_t piece, uint32_t pause_us)
{
	const char *from = data;

	for (size_t some; size > 0; size -= some, from += some) {
		some = size < piece ? size : piece;
		if (!kit_mock_send(conn, from, some) ||
		    (pause_us > 0 && !kit_mock_wait(conn, pause_us)))
			return false;
	}
	return true;
}

bool kit_mock_send_split(struct kit_mock_conn *conn, const void *data, size_t size, size_t at,
			 uint32_t pause_us)
{
	at = at < size ? at : size;
	return kit_mock_send(conn, data, at) && kit_mock_wait(conn, pause_us) &&
	       kit_mock_send(conn, (const char *)data + at, size - at);
}

/* ---- endings */

void kit_mock_notify(struct kit_mock_conn *conn)
{
	if (conn->tls != NULL && conn->fd >= 0)
		(void)mbedtls_ssl_close_notify(&conn->tls->ssl);
}

void kit_mock_half_close(struct kit_mock_conn *conn)
{
	kit_mock_notify(conn);
	shutdown(conn->fd, SHUT_WR);
}

void kit_mock_cut(struct kit_mock_conn *conn)
{
	if (conn->fd >= 0)
		close(conn->fd);
	conn->fd = -1;
	conn->ended = true;
}

void kit_mock_reset(struct kit_mock_conn *conn)
{
	const struct linger linger = { 1, 0 };

	setsockopt(conn->fd, SOL_SOCKET, SO_LINGER, &linger, sizeof linger);
	kit_mock_cut(conn);
}

/* ---- threads */

static void *play(void *user)
{
	struct kit_mock_conn *conn = user;
	struct kit_mock *mock = conn->mock;
	bool up = mock->options.cert == NULL || mock->options.plain_first ||
		  kit_mock_start_tls(conn);

	if (up)
		mock->options.play(conn, mock->options.user);
	kit_mock_notify(conn);
	kit_mock_cut(conn);
	tls_free(conn->tls);
	free(conn);
	pthread_mutex_lock(&mock->lock);
	mock->counts.open--;
	pthread_cond_signal(&mock->ended);
	pthread_mutex_unlock(&mock->lock);
	return NULL;
}

static void meet(struct kit_mock *mock, int fd)
{
	struct kit_mock_conn *conn = calloc(1, sizeof *conn);
	pthread_attr_t attributes;
	pthread_t thread;
	int one = 1;

	if (conn == NULL)
		abort();
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
	conn->mock = mock;
	conn->fd = fd;
	pthread_mutex_lock(&mock->lock);
	conn->number = (uint32_t)mock->counts.accepted++;
	mock->counts.open++;
	pthread_mutex_unlock(&mock->lock);
	pthread_attr_init(&attributes);
	pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
	pthread_attr_setstacksize(&attributes, 256 * 1024);
	if (pthread_create(&thread, &attributes, play, conn) != 0)
		abort();
	pthread_attr_destroy(&attributes);
}

static void *accept_all(void *user)
{
	struct kit_mock *mock = user;
	struct pollfd fds[2] = { { .fd = mock->listener, .events = POLLIN },
				 { .fd = mock->stop, .events = POLLIN } };

	while (poll(fds, 2, -1) >= 0 || errno == EINTR) {
		int fd;

		if (fds[1].revents != 0)
			break;
		while ((fd = accept4(mock->listener, NULL, NULL,
				     SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0)
			meet(mock, fd);
	}
	return NULL;
}

/* ---- open and close */

static bool listen_unix(struct kit_mock *mock, const char *path)
{
	struct sockaddr_un un = { .sun_family = AF_UNIX };

	snprintf(un.sun_path, sizeof un.sun_path, "%s", path);
	snprintf(mock->address, sizeof mock->address, "unix:%s", un.sun_path);
	unlink(path);
	mock->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	return bind(mock->listener, (struct sockaddr *)&un, sizeof un) == 0;
}

static bool listen_tcp(struct kit_mock *mock)
{
	const in_addr_t where = mock->options.any_address ? INADDR_ANY : INADDR_LOOPBACK;
	struct sockaddr_in in = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(where) };
	socklen_t size = sizeof in;
	int bytes = (int)mock->options.receive_bytes;

	mock->listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (bytes != 0)
		setsockopt(mock->listener, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof bytes);
	if (bind(mock->listener, (struct sockaddr *)&in, size) != 0 ||
	    getsockname(mock->listener, (struct sockaddr *)&in, &size) != 0)
		return false;
	mock->port = ntohs(in.sin_port);
	snprintf(mock->address, sizeof mock->address, "127.0.0.1:%u", (unsigned)mock->port);
	return true;
}

struct kit_mock *kit_mock_open(const struct kit_mock_options *options)
{
	struct kit_mock *mock = calloc(1, sizeof *mock);

	if (mock == NULL)
		abort();
	mock->options = *options;
	pthread_mutex_init(&mock->lock, NULL);
	pthread_cond_init(&mock->ended, NULL);
	mock->stop = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (CHECK(kolk__tls_library_init() == 0) &&
	    CHECK(options->unix_path != NULL ? listen_unix(mock, options->unix_path)
					     : listen_tcp(mock)) &&
	    CHECK(listen(mock->listener, 4096) == 0) &&
	    CHECK(pthread_create(&mock->thread, NULL, accept_all, mock) == 0))
		return mock;
	close(mock->listener);
	close(mock->stop);
	free(mock);
	return NULL;
}

void kit_mock_close(struct kit_mock *mock)
{
	const uint64_t one = 1;

	if (mock == NULL)
		return;
	CHECK(write(mock->stop, &one, sizeof one) == sizeof one);
	pthread_join(mock->thread, NULL);
	pthread_mutex_lock(&mock->lock);
	while (mock->counts.open > 0)
		pthread_cond_wait(&mock->ended, &mock->lock);
	pthread_mutex_unlock(&mock->lock);
	if (mock->options.unix_path != NULL)
		unlink(mock->options.unix_path);
	close(mock->listener);
	close(mock->stop);
	pthread_mutex_destroy(&mock->lock);
	pthread_cond_destroy(&mock->ended);
	free(mock->executed);
	free(mock);
}

const char *kit_mock_address(const struct kit_mock *mock)
{
	return mock->address;
}

uint16_t kit_mock_port(const struct kit_mock *mock)
{
	return mock->port;
}

struct kit_mock *kit_mock_of(struct kit_mock_conn *conn)
{
	return conn->mock;
}

uint32_t kit_mock_number(const struct kit_mock_conn *conn)
{
	return conn->number;
}

uint32_t kit_mock_here(const struct kit_mock_conn *conn)
{
	struct sockaddr_in in = { 0 };
	socklen_t size = sizeof in;

	if (getsockname(conn->fd, (struct sockaddr *)&in, &size) != 0 || in.sin_family != AF_INET)
		return 0;
	return ntohl(in.sin_addr.s_addr);
}

/* ---- counts */

struct kit_mock_counts kit_mock_counts(struct kit_mock *mock)
{
	struct kit_mock_counts counts;

	pthread_mutex_lock(&mock->lock);
	counts = mock->counts;
	pthread_mutex_unlock(&mock->lock);
	return counts;
}

void kit_mock_execute(struct kit_mock_conn *conn, uint64_t id)
{
	struct kit_mock *mock = conn->mock;

	pthread_mutex_lock(&mock->lock);
	if (mock->counts.executions == mock->capacity) {
		mock->capacity = mock->capacity == 0 ? 1024 : 2 * mock->capacity;
		mock->executed = realloc(mock->executed, mock->capacity * sizeof *mock->executed);
		if (mock->executed == NULL)
			abort();
	}
	mock->executed[mock->counts.executions++] = id;
	pthread_mutex_unlock(&mock->lock);
}

uint32_t kit_mock_executions(struct kit_mock *mock, uint64_t id)
{
	uint32_t found = 0;

	pthread_mutex_lock(&mock->lock);
	for (uint64_t i = 0; i < mock->counts.executions; i++)
		found += mock->executed[i] == id;
	pthread_mutex_unlock(&mock->lock);
	return found;
}

static int by_id(const void *a, const void *b)
{
	const uint64_t *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

uint32_t kit_mock_executions_max(struct kit_mock *mock)
{
	uint32_t most = 0, run = 0;

	pthread_mutex_lock(&mock->lock);
	if (mock->executed != NULL)
		qsort(mock->executed, mock->counts.executions, sizeof *mock->executed, by_id);
	for (uint64_t i = 0; i < mock->counts.executions; i++) {
		run = i > 0 && mock->executed[i] == mock->executed[i - 1] ? run + 1 : 1;
		most = run > most ? run : most;
	}
	pthread_mutex_unlock(&mock->lock);
	return most;
}
