/* SPDX-License-Identifier: Apache-2.0 */
/* proxy_test.c - transport/proxy.c: headers of the PROXY protocol, whole, cut everywhere, and wrong. */
#include "tests/unit/unit.h"

#include <string.h>
#include <sys/socket.h>

#include "transport/proxy.h"

#define SIGNATURE "\r\n\r\n\0\r\nQUIT\n"
#define BYTES(text) (const uint8_t *)(text), sizeof(text) - 1

/* Of every beginning more is needed; and what follows is not looked at. */
static void is_read(const uint8_t *bytes, size_t size, struct kolk__proxy *proxy)
{
	uint8_t more[KOLK__PROXY_MAX + 1];

	for (size_t cut = 0; cut < size; cut++)
		assert_int_equal(kolk__proxy_read(bytes, cut, proxy), 0);
	memcpy(more, bytes, size);
	memset(more + size, 0xff, sizeof more - size);
	assert_int_equal(kolk__proxy_read(more, sizeof more, proxy), (int)size);
	assert_int_equal(kolk__proxy_read(bytes, size, proxy), (int)size);
}

static void addresses_are_read(void **state)
{
	struct kolk__proxy proxy;

	(void)state;
	is_read(BYTES(SIGNATURE "\x21\x11\x00\x0c\xcb\x00\x71\x07\x0a\x00\x00\x01\x30\x39\x01\xbb"),
		&proxy);
	assert_int_equal(proxy.family, AF_INET);
	assert_memory_equal(proxy.peer, "\xcb\x00\x71\x07", 4);
	assert_memory_equal(proxy.local, "\x0a\x00\x00\x01", 4);
	assert_int_equal(proxy.peer_port, 12345);
	assert_int_equal(proxy.local_port, 443);
	is_read(BYTES(SIGNATURE "\x21\x21\x00\x24"
		      " \x01\r\xb8"
		      "0123456789ab"
		      "fedcba9876543210"
		      "\x30\x39\x01\xbb"), &proxy);
	assert_int_equal(proxy.family, AF_INET6);
	assert_memory_equal(proxy.peer, " \x01\r\xb8" "0123456789ab", 16);
	assert_memory_equal(proxy.local, "fedcba9876543210", 16);
	assert_int_equal(proxy.peer_port, 12345);
}

static void unix_and_local_have_none(void **state)
{
	uint8_t header[16 + 216] = SIGNATURE "\x21\x31\x00\xd8";
	struct kolk__proxy proxy;

	(void)state;
	is_read(header, sizeof header, &proxy);
	assert_int_equal(proxy.family, AF_UNIX);
	is_read(BYTES(SIGNATURE "\x20\x00\x00\x00"), &proxy);
	assert_int_equal(proxy.family, AF_UNSPEC);
	/* LOCAL: whatever follows is skipped, an address, too */
	is_read(BYTES(SIGNATURE "\x20\x11\x00\x0c" "abcdefghijkl"), &proxy);
	assert_int_equal(proxy.family, AF_UNSPEC);
	is_read(BYTES(SIGNATURE "\x21\x00\x00\x03" "abc"), &proxy);
	assert_int_equal(proxy.family, AF_UNSPEC);
}

static void extensions_are_skipped(void **state)
{
	struct kolk__proxy proxy;

	(void)state;
	is_read(BYTES(SIGNATURE "\x21\x11\x00\x16" "abcdefghijkl" "\x04\x00\x00" "\x01\x00\x04h2h2"),
		&proxy);
	assert_int_equal(proxy.family, AF_INET);
	/* one that is longer than the header; and half of one */
	assert_int_equal(kolk__proxy_read(BYTES(SIGNATURE "\x21\x11\x00\x10" "abcdefghijkl"
						"\x04\x00\x02x"), &proxy), -1);
	assert_int_equal(kolk__proxy_read(BYTES(SIGNATURE "\x21\x11\x00\x0e" "abcdefghijkl" "\x04\x00"),
					  &proxy), -1);
}

static void refuse(const uint8_t *bytes, size_t size)
{
	struct kolk__proxy proxy;

	assert_int_equal(kolk__proxy_read(bytes, size, &proxy), -1);
}

static void others_are_refused(void **state)
{
	uint8_t header[KOLK__PROXY_MAX + 1] = SIGNATURE "\x20\x00";
	struct kolk__proxy proxy;

	(void)state;
	refuse(BYTES("G"));
	refuse(BYTES("GET / HTTP/1.1\r\n"));
	refuse(BYTES("PROXY TCP4 1.2.3.4 5.6.7.8 1 2\r\n"));
	refuse(BYTES("\r\n\r\n\0\r\nQUIT\r"));
	refuse(BYTES(SIGNATURE "\x11"));			  /* version 1 */
	refuse(BYTES(SIGNATURE "\x22"));			  /* a command that there is not */
	refuse(BYTES(SIGNATURE "\x21\x12\x00\x0c" "abcdefghijkl")); /* UDP */
	refuse(BYTES(SIGNATURE "\x21\x41\x00\x0c" "abcdefghijkl")); /* a family that there is not */
	refuse(BYTES(SIGNATURE "\x21\x11\x00\x0b" "abcdefghijk"));  /* too short for it */
	refuse(BYTES(SIGNATURE "\x21\x21\x00\x0c" "abcdefghijkl"));
	header[14] = (KOLK__PROXY_MAX - 16) >> 8;
	header[15] = (KOLK__PROXY_MAX - 16) & 255;
	assert_int_equal(kolk__proxy_read(header, KOLK__PROXY_MAX, &proxy), KOLK__PROXY_MAX);
	header[15]++;
	assert_int_equal(kolk__proxy_read(header, 16, &proxy), -1);
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(addresses_are_read),
	cmocka_unit_test(unix_and_local_have_none),
	cmocka_unit_test(extensions_are_skipped),
	cmocka_unit_test(others_are_refused),
};
CMOCKA_TESTS(proxy, tests);
