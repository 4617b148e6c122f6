/* SPDX-License-Identifier: Apache-2.0 */
/* h2_flood_test.c - floods and forbidden frames of an HTTP/2 peer: each is cut, with little said in
 * return; what a peer may do is no flood. */
#include <string.h>

#include "tests/kit/cmocka/run.h"
#include "tests/drivers/h2_peer.h"

static void continuations(void **state)
{
	struct h2_pair *pair = pair_open(&h2_usual, true);
	struct h2_owner owner = { 0 };
	int count = 0;

	(void)state;
	pair_get(pair, &owner);
	pair_take(pair);
	pair_frame(pair, NGHTTP2_HEADERS, 0, 1, "\x08\x03" "200", 5);
	assert_int_equal(pair_say(pair), KOLK_OK);
	do
		pair_frame(pair, NGHTTP2_CONTINUATION, 0, 1, "\0\1a\1b", 5);
	while (pair_say(pair) == KOLK_OK && ++count < 100000);
	assert_int_equal(count, 9);
	pair_close(pair);
}

/* As many as the largest head that is allowed needs, at 16 KiB each. */
static void a_head_of_many_frames(void **state)
{
	enum { FIELDS = 60 };
	struct h2_limits limits = h2_usual;
	struct h2_owner owner = { 0 };
	static uint8_t field[16384];
	struct h2_pair *pair;

	(void)state;
	limits.head_bytes_max = 1 << 20;
	pair = pair_open(&limits, true);
	memset(field, 'v', sizeof field);
	memcpy(field, "\0\1a\x7f\xf9\x7e", 6); /* 127 + 0x79 + (0x7e << 7) = 16376 of a value */
	pair_get(pair, &owner);
	pair_take(pair);
	pair_frame(pair, NGHTTP2_HEADERS, 0, 1, "\x08\x03" "200", 5);
	for (int i = 0; i < FIELDS; i++) {
		pair_frame(pair, NGHTTP2_CONTINUATION, i == FIELDS - 1 ? NGHTTP2_FLAG_END_HEADERS : 0,
			   1, field, 6 + 16376);
		assert_int_equal(pair_say(pair), KOLK_OK);
	}
	assert_int_equal(owner.status, 200);
	assert_int_equal(owner.fields, FIELDS);
	pair_close(pair);
}

struct flood {
	const char *what;
	uint8_t type, flags;
	int32_t id;
	const char *payload;
	size_t size;
};

static const struct flood floods[] = {
	{ "PING", NGHTTP2_PING, 0, 0, "12345678", 8 },
	{ "answers to no PING", NGHTTP2_PING, NGHTTP2_FLAG_ACK, 0, "12345678", 8 },
	{ "SETTINGS", NGHTTP2_SETTINGS, 0, 0, "", 0 },
	{ "DATA without data", NGHTTP2_DATA, 0, 1, "", 0 },
	{ "DATA of padding", NGHTTP2_DATA, NGHTTP2_FLAG_PADDED, 1, "\x03\0\0\0", 4 },
	{ "windows of a byte", NGHTTP2_WINDOW_UPDATE, 0, 1, "\0\0\0\1", 4 },
	{ "windows of the connection", NGHTTP2_WINDOW_UPDATE, 0, 0, "\0\0\0\1", 4 },
	{ "PRIORITY", NGHTTP2_PRIORITY, 0, 1, "\0\0\0\0\20", 5 },
	{ "frames of no known kind", 0xbe, 0, 0, "x", 1 },
	{ "RST_STREAM of one that ended", NGHTTP2_RST_STREAM, 0, 1, "\0\0\0\x08", 4 },
};

/* answered: what it makes us say goes out at once, so that each frame meets one of ours. */
static void one_flood(const struct flood *flood, bool answered)
{
	struct h2_pair *pair = pair_open(&h2_usual, true);
	struct h2_owner owner = { .consumes = true };
	size_t said = 0;
	int count = 0;

	pair_get(pair, &owner);
	pair_take(pair);
	pair_head(pair, 1, 200, false);
	do {
		pair_frame(pair, flood->type, flood->flags, flood->id, flood->payload,
			   flood->size);
		if (answered)
			pair_take(pair);
	} while (pair_say(pair) == KOLK_OK && ++count < 100000);
	if (count > 200)
		fail_msg("%s: %d frames were taken", flood->what, count);
	assert_int_equal(pair->session->err, KOLK_E_FLOOD);
	pair_take(pair);
	if (pair_code(pair, NGHTTP2_GOAWAY) != NGHTTP2_ENHANCE_YOUR_CALM)
		fail_msg("%s: the peer was not told why", flood->what);
	said = pair->in_size;
	if (said > 4096 && !answered)
		fail_msg("%s: %zu bytes were said in return", flood->what, said);
	pair_close(pair);
}

static void every_flood_is_cut(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof floods / sizeof *floods; i++)
		one_flood(&floods[i], false), one_flood(&floods[i], true);
}

/* What a peer may do: one such frame for each of ours, for as long as it likes. */
static void a_peer_that_only_answers_is_no_flood(void **state)
{
	struct h2_pair *pair = pair_open(&h2_usual, true);
	struct h2_owner owner = { 0 };

	(void)state;
	for (int i = 0; i < 5000; i++) {
		owner = (struct h2_owner){ 0 };
		assert_int_equal(pair_get(pair, &owner), KOLK_OK);
		pair_take(pair);
		pair_window(pair, 0, 1);
		pair_head(pair, 2 * i + 1, 204, true);
		assert_int_equal(pair_say(pair), KOLK_OK);
	}
	pair_close(pair);
}

/* Some give both windows back for each DATA, however fast they come. */
static void windows_that_are_given_back_are_no_flood(void **state)
{
	static char bytes[1000];
	struct h2_pair *pair = pair_open(&h2_usual, true);
	struct h2_owner owner = { 0 };

	(void)state;
	memset(bytes, 'x', sizeof bytes - 1);
	pair_post(pair, &owner);
	pair_take(pair);
	for (int i = 0; i < 1000; i++) {
		owner.upload = bytes;
		owner.uploaded = 0;
		h2_stream_more(owner.stream);
		pair_take(pair);
		assert_int_equal(pair_content(pair, 1), sizeof bytes - 1);
		pair_window(pair, 0, sizeof bytes - 1);
		pair_window(pair, 1, sizeof bytes - 1);
		assert_int_equal(pair_say(pair), KOLK_OK);
	}
	pair_close(pair);
}

/* As some servers do (Go's), for each read of whoever handles the request; and a PING now and then,
 * to measure the way. */
static void windows_in_small_pieces_are_no_flood(void **state)
{
	enum { PIECE = 100, ROUNDS = 100, SENT = 30000 };
	static char bytes[SENT + 1];
	struct h2_pair *pair = pair_open(&h2_usual, true);
	struct h2_owner owner = { 0 };

	(void)state;
	memset(bytes, 'x', SENT);
	pair_post(pair, &owner);
	pair_take(pair);
	for (int i = 0; i < ROUNDS; i++) {
		owner.upload = bytes;
		owner.uploaded = 0;
		h2_stream_more(owner.stream);
		pair_take(pair);
		assert_int_equal(pair_content(pair, 1), SENT);
		for (int at = 0; at < SENT; at += PIECE) {
			pair_window(pair, 0, PIECE);
			pair_window(pair, 1, PIECE);
		}
		pair_frame(pair, NGHTTP2_PING, 0, 0, "12345678", 8);
		assert_int_equal(pair_say(pair), KOLK_OK);
	}
	pair_close(pair);
}

/* More than we sent is not given back: bytes sent long ago pay for no flood twice. */
static void windows_of_what_was_never_sent_are_a_flood(void **state)
{
	static char bytes[1001];
	struct h2_pair *pair = pair_open(&h2_usual, true);
	struct h2_owner owner = { .upload = bytes, .last = true };
	int count = 0;

	(void)state;
	memset(bytes, 'x', 1000);
	pair_post(pair, &owner);
	pair_take(pair);
	pair_head(pair, 1, 200, true);
	assert_int_equal(pair_say(pair), KOLK_OK);
	assert_int_equal(owner.ends, 1);
	do
		pair_window(pair, 1, 1); /* of a stream that ended, too */
	while (pair_say(pair) == KOLK_OK && ++count < 100000);
	assert_in_range(count, 1000, 1200);
	pair_close(pair);
}

/* A table entry of 3 KiB, referred to by one byte each. */
static void a_bomb_of_compression(void **state)
{
	struct h2_pair *pair = pair_open(&h2_usual, true);
	struct h2_owner owner = { 0 };
	static uint8_t head[16000] = "\x08\x03" "200" "\x40\1a\x7f\x81\x16";
	size_t size = 11;

	(void)state;
	memset(head + size, 'b', 127 + 0x81 - 0x80 + (0x16 << 7));
	size += 127 + 1 + (0x16 << 7);
	memset(head + size, 0xbe, 10000); /* the newest entry, again and again */
	size += 10000;
	pair_get(pair, &owner);
	pair_take(pair);
	pair_frame(pair, NGHTTP2_HEADERS, NGHTTP2_FLAG_END_HEADERS, 1, head, size);
	assert_int_equal(pair_say(pair), KOLK_OK);
	pair_take(pair);
	assert_int_equal(owner.end.err, KOLK_E_PROTOCOL);
	assert_true(owner.fields <= 8);
	pair_close(pair);
}

static void push_is_refused_at_once(void **state)
{
	struct h2_pair *pair = pair_open(&h2_usual, false); /* our SETTINGS are not acknowledged */
	struct h2_owner owner = { 0 };

	(void)state;
	pair_frame(pair, NGHTTP2_SETTINGS, 0, 0, NULL, 0);
	assert_int_equal(pair_say(pair), KOLK_OK);
	pair_get(pair, &owner);
	pair_take(pair);
	pair_frame(pair, NGHTTP2_PUSH_PROMISE, NGHTTP2_FLAG_END_HEADERS, 1, "\0\0\0\2\x82", 5);
	assert_int_equal(pair_say(pair), KOLK_E_PROTOCOL);
	pair_take(pair);
	assert_int_equal(pair_code(pair, NGHTTP2_GOAWAY), NGHTTP2_PROTOCOL_ERROR);
	pair_close(pair);
}

static void a_stream_of_its_own_is_an_error(void **state)
{
	struct h2_pair *pair = pair_open(&h2_usual, true);

	(void)state;
	pair_head(pair, 2, 200, true);
	(void)pair_say(pair);
	pair_take(pair);
	assert_int_equal(pair_say(pair), KOLK_E_PROTOCOL);
	pair_close(pair);
}

/* What a server of another protocol answers to the preface (RFC 9113, section 3.4). Its first nine bytes
 * could be the head of a frame of 4 MiB, and no flood is meant by them. */
static void another_protocol_is_no_flood(void **state)
{
	static const char *const answers[] = { "HTTP/1.1 400 Bad Request\r\n\r\n", "-ERR unknown\r\n" };

	(void)state;
	for (size_t i = 0; i < sizeof answers / sizeof answers[0]; i++)
		for (int slowly = 0; slowly < 2; slowly++) {
			struct h2_pair *pair = pair_open(&h2_usual, false);

			pair->size = strlen(answers[i]);
			memcpy(pair->out, answers[i], pair->size);
			assert_int_equal(slowly ? pair_say_slowly(pair) : pair_say(pair),
					 KOLK_E_PROTOCOL);
			pair_take(pair);
			assert_int_equal(pair_code(pair, NGHTTP2_GOAWAY), NGHTTP2_PROTOCOL_ERROR);
			pair_close(pair);
		}
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(another_protocol_is_no_flood),
	cmocka_unit_test(continuations),
	cmocka_unit_test(every_flood_is_cut),
	cmocka_unit_test(a_peer_that_only_answers_is_no_flood),
	cmocka_unit_test(windows_that_are_given_back_are_no_flood),
	cmocka_unit_test(windows_in_small_pieces_are_no_flood),
	cmocka_unit_test(windows_of_what_was_never_sent_are_a_flood),
	cmocka_unit_test(a_head_of_many_frames),
	cmocka_unit_test(a_bomb_of_compression),
	cmocka_unit_test(push_is_refused_at_once),
	cmocka_unit_test(a_stream_of_its_own_is_an_error),
};
CMOCKA_TESTS(h2_flood, tests);
