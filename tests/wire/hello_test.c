/* SPDX-License-Identifier: Apache-2.0 */
/* hello_test.c - what a ClientHello offers: read by a listener that then hangs up. */
#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/kit/restarted.h"
#include "tests/wire/wire.h"

enum { GROUPS = 10, SIGNATURES = 13, MAX_FRAGMENT_LENGTH = 1, LIST = 128 };

struct list {
	uint16_t at[LIST];
	size_t count;
};

struct hello {
	struct list suites, groups, signatures;
	bool has_fragment_length;
};

/* ---- RFC 8446, section 4.1.2 */

struct cursor {
	const uint8_t *at, *end;
};

static uint32_t number(struct cursor *c, size_t size)
{
	uint32_t value = 0;

	for (; size > 0 && c->at < c->end; size--)
		value = value << 8 | *c->at++;
	return value;
}

/* A vector with its length before it in so many bytes. */
static struct cursor vector(struct cursor *c, size_t length_size)
{
	size_t size = number(c, length_size);
	struct cursor inner = { c->at, c->at };

	if (size <= (size_t)(c->end - c->at))
		inner.end = c->at += size;
	return inner;
}

static void list_read(struct list *list, struct cursor from)
{
	while (from.at < from.end && list->count < LIST)
		list->at[list->count++] = (uint16_t)number(&from, 2);
}

static void extension_read(struct hello *hello, uint32_t type, struct cursor body)
{
	if (type == GROUPS)
		list_read(&hello->groups, vector(&body, 2));
	else if (type == SIGNATURES)
		list_read(&hello->signatures, vector(&body, 2));
	else if (type == MAX_FRAGMENT_LENGTH)
		hello->has_fragment_length = true;
}

static bool hello_read(struct hello *hello, const uint8_t *bytes, size_t size)
{
	struct cursor c = { bytes + 5 + 4 + 2 + 32, bytes + size }, extensions;

	if (size < 64 || bytes[0] != 22 || bytes[5] != 1)
		return false;
	(void)vector(&c, 1); /* the session */
	list_read(&hello->suites, vector(&c, 2));
	(void)vector(&c, 1); /* no compression */
	extensions = vector(&c, 2);
	while (extensions.at < extensions.end) {
		uint32_t type = number(&extensions, 2);

		extension_read(hello, type, vector(&extensions, 2));
	}
	return hello->suites.count > 0;
}

/* ---- the listener */

static int listen_any(char address[32])
{
	struct sockaddr_in in = { .sin_family = AF_INET,
				  .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	const struct timeval patience = { .tv_sec = 5 };
	socklen_t size = sizeof in;
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (!CHECK(fd >= 0 && bind(fd, (struct sockaddr *)&in, size) == 0 && listen(fd, 8) == 0 &&
		   getsockname(fd, (struct sockaddr *)&in, &size) == 0))
		return -1;
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
	snprintf(address, 32, "127.0.0.1:%u", ntohs(in.sin_port));
	return fd;
}

static bool receive(int fd, uint8_t *bytes, size_t size)
{
	ssize_t got;

	for (; size > 0; bytes += got, size -= (size_t)got) {
		got = kit_recv(fd, bytes, size, 0);
		if (got <= 0)
			return false;
	}
	return true;
}

static bool hello_receive(struct hello *hello, int listener)
{
	uint8_t bytes[4096];
	size_t size = 0;
	int fd = kit_accept(listener);

	if (fd >= 0 && receive(fd, bytes, 5))
		size = (size_t)(bytes[3] << 8 | bytes[4]);
	if (size > sizeof bytes - 5 || !receive(fd, bytes + 5, size))
		size = 0;
	if (fd >= 0)
		close(fd);
	return CHECK(size > 0 && hello_read(hello, bytes, 5 + size));
}

/* What a pool with these options says first. */
static bool hello_of(struct kolk_tls_options *tls, struct hello *hello)
{
	struct kolk_pool_options o = KOLK_INIT(kolk_pool_options);
	struct wire w = { 0 };
	struct kolk_lease nothing;
	char address[32];
	bool received;
	int listener = listen_any(address);

	if (listener < 0)
		return false;
	tls->ca_file = wire_certs.ca_path;
	o.address = address;
	o.tls = tls;
	received = wire_engine(&w, NULL) && wire_pool(&w, &o) &&
		   CHECK_ERR(kolk_try_acquire(w.key, &nothing), KOLK_E_EMPTY) &&
		   hello_receive(hello, listener);
	wire_close(&w);
	close(listener);
	return received;
}

/* ---- what is in it */

/* Where in the list; count = nowhere. */
static size_t place(const struct list *list, uint16_t value)
{
	size_t i = 0;

	while (i < list->count && list->at[i] != value)
		i++;
	return i;
}

static bool has(const struct list *list, uint16_t value)
{
	return place(list, value) < list->count;
}

static bool has_any(const struct list *list, const uint16_t *values, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (has(list, values[i])) {
			tap_note("0x%04x is offered", values[i]);
			return true;
		}
	return false;
}

#define OFFERS(list, ...)                                        \
	has_any(&(list), (const uint16_t[]){ __VA_ARGS__ },      \
		sizeof((const uint16_t[]){ __VA_ARGS__ }) / sizeof(uint16_t))

/* RSA key exchange: AES-GCM, AES-CBC with SHA-1 and SHA-256, CCM. */
#define STATIC_RSA 0x009c, 0x009d, 0x002f, 0x0035, 0x003c, 0x003d, 0xc09c, 0xc09d, 0x0041, 0x0084
/* Static ECDH with ECDSA's and RSA's certificates. */
#define STATIC_ECDH 0xc004, 0xc005, 0xc025, 0xc026, 0xc02d, 0xc02e, 0xc00e, 0xc00f, 0xc031, 0xc032
#define CCM_8 0x1305, 0xc0a0, 0xc0a1, 0xc0a2, 0xc0a3, 0xc0ae, 0xc0af
#define SECP192_224 0x0013, 0x0015, 0x0012, 0x0014
#define BRAINPOOL 0x001a, 0x001b, 0x001c
#define SHA1_SIGNATURES 0x0201, 0x0203
#define BRAINPOOL_P256 0x001a
#define RSA_AES128_GCM 0x009c
#define X25519 0x001d
#define P256 0x0017
#define P384 0x0018
#define ECDHE_ECDSA_AES128_GCM 0xc02b
#define ECDHE_RSA_AES128_GCM 0xc02f
#define ECDHE_RSA_AES128_CBC_SHA 0xc013
#define DHE_RSA_AES128_GCM 0x009e

static void check_order(const struct hello *hello)
{
	CHECK(place(&hello->groups, X25519) == 0);
	CHECK(place(&hello->groups, P256) == 1);
	CHECK(place(&hello->groups, P384) == 2);
	CHECK(has(&hello->suites, ECDHE_ECDSA_AES128_GCM));
	CHECK(has(&hello->suites, ECDHE_RSA_AES128_GCM));
	CHECK(!OFFERS(hello->suites, STATIC_ECDH, CCM_8));
	CHECK(!OFFERS(hello->groups, SECP192_224));
}

static void by_default(void)
{
	struct kolk_tls_options tls = KOLK_INIT(kolk_tls_options);
	struct hello hello = { 0 };

	MUST(hello_of(&tls, &hello));
	check_order(&hello);
	CHECK(!OFFERS(hello.suites, STATIC_RSA));
	CHECK(!OFFERS(hello.groups, BRAINPOOL));
	CHECK(!OFFERS(hello.signatures, SHA1_SIGNATURES));
	CHECK(has(&hello.suites, DHE_RSA_AES128_GCM));
	CHECK(has(&hello.suites, ECDHE_RSA_AES128_CBC_SHA));
}

static void strict(void)
{
	struct kolk_tls_options tls = KOLK_INIT(kolk_tls_options);
	struct hello hello = { 0 };

	tls.profile = KOLK_TLS_STRICT;
	MUST(hello_of(&tls, &hello));
	check_order(&hello);
	CHECK(hello.groups.count == 3);
	CHECK(!OFFERS(hello.suites, STATIC_RSA, DHE_RSA_AES128_GCM, ECDHE_RSA_AES128_CBC_SHA));
	CHECK(!OFFERS(hello.signatures, SHA1_SIGNATURES));
}

static void compatible(void)
{
	struct kolk_tls_options tls = KOLK_INIT(kolk_tls_options);
	struct hello hello = { 0 };

	tls.profile = KOLK_TLS_COMPATIBLE;
	MUST(hello_of(&tls, &hello));
	check_order(&hello);
	CHECK(has(&hello.suites, RSA_AES128_GCM));
	CHECK(has(&hello.groups, BRAINPOOL_P256));
	CHECK(place(&hello.suites, RSA_AES128_GCM) > place(&hello.suites, ECDHE_RSA_AES128_CBC_SHA));
}

/* With TLS 1.3 its answer comes where mbedTLS does not take it. */
static void record_max(void)
{
	struct kolk_tls_options tls = KOLK_INIT(kolk_tls_options);
	struct hello hello = { 0 };

	tls.record_max = 4096;
	MUST(hello_of(&tls, &hello));
	CHECK(hello.has_fragment_length == (strstr(kolk_tls_text(), "TLS 1.3") == NULL));
}

static const struct tap_test tests[] = {
	{ "the hello offers forward secrecy, X25519 first", by_default },
	{ "the hello of the strict profile", strict },
	{ "the hello of the compatible profile", compatible },
	{ "the hello asks for short records where that can work", record_max },
};
TAP_TESTS(hello, tests);
