/* SPDX-License-Identifier: Apache-2.0 */
/* h1_parse.c - answers of HTTP/1.1: their heads, and what says where they end (RFC 9112, section
 * 6.3). What requests have too is in h1_message.c. */
#include <string.h>

#include "transport/drivers/h1.h"
#include "transport/drivers/h1_fields.h"

void h1_parser_begin(struct h1_parser *parser)
{
	parser->no_body = parser->connect = false;
	parser->keep = false;
	parser->upgrade = NULL;
	parser->informational = parser->trailer_count = 0;
	parser->idle_s = 0;
	parser->head = (struct kolk_http_head){ 0 };
	parser->message.head_bytes_max = parser->limits.head_bytes_max;
	parser->message.fields_max = parser->limits.fields_max;
	h1_message_begin(&parser->message);
}

void h1_parser_free(struct h1_parser *parser)
{
	h1_message_free(&parser->message);
}

static enum kolk_err broken(struct h1_parser *parser)
{
	parser->keep = false;
	return h1_message_break(&parser->message);
}

/* What does not begin as an answer is refused at its first byte, not when its head is too long. */
static bool begins_as_answer(const struct h1_message *message)
{
	static const char version[] = "HTTP/1.";
	size_t size = message->text_size;

	if (size > sizeof version - 1)
		size = sizeof version - 1;
	return size == 0 || memcmp(message->text, version, size) == 0;
}

/* ---- heads */

static enum kolk_err informational(struct h1_parser *parser, const struct h1_framing *framing,
				   enum h1_event *event)
{
	const struct kolk_http_head *head = &parser->head;

	if (head->version != 11 || framing->chunked || framing->length > 0)
		return broken(parser);
	if (head->status == 101) {
		if (parser->upgrade == NULL || !h1_upgrade_is(framing->upgrade, parser->upgrade))
			return broken(parser);
		parser->message.state = H1_SWITCHING;
		*event = H1_HEAD;
		return KOLK_OK;
	}
	if (++parser->informational > parser->limits.informational_max)
		return broken(parser);
	*event = H1_INFORMATIONAL;
	return KOLK_OK;
}

/* RFC 9112, section 6.3. */
static enum kolk_err final(struct h1_parser *parser, const struct h1_framing *framing)
{
	struct kolk_http_head *head = &parser->head;
	struct h1_message *message = &parser->message;

	parser->keep = head->version == 11 ? !framing->close :
					     framing->keep_alive && !framing->close;
	if (!parser->limits.keep_alive_ignored) {
		parser->idle_s = framing->idle_s;
		parser->keep &= !framing->last;
	}
	if (framing->tunnel) {
		message->state = H1_SWITCHING;
		parser->keep = false;
		return KOLK_OK;
	}
	head->body_size = framing->has_length ? framing->length : KOLK_HTTP_CHUNKED;
	if (head->status == 204 && (framing->chunked || framing->length > 0))
		return broken(parser);
	if (parser->no_body || head->status == 204 || head->status == 304) {
		if (!framing->has_length)
			head->body_size = framing->chunked ? KOLK_HTTP_CHUNKED : 0;
		message->state = H1_WHOLE;
	} else if (framing->chunked) {
		message->state = H1_CHUNK_LINE;
	} else if (framing->has_length) {
		message->left = framing->length;
		message->state = framing->length > 0 ? H1_FIXED : H1_WHOLE;
	} else {
		message->state = H1_UNTIL_CLOSE;
		parser->keep = false;
	}
	return KOLK_OK;
}

static enum kolk_err on_head_complete(struct h1_parser *parser, enum h1_event *event)
{
	struct h1_framing framing = { 0 };
	enum kolk_err err = h1_split_head(parser, &framing);

	if (err == KOLK_E_PROTOCOL)
		return broken(parser);
	if (err != KOLK_OK)
		return err;
	h1_forget_text(&parser->message);
	*event = H1_HEAD;
	if (parser->head.status < 200)
		return informational(parser, &framing, event);
	return final(parser, &framing);
}

static enum kolk_err head_step(struct h1_parser *parser, const uint8_t **data, size_t *size,
			       enum h1_event *event)
{
	enum kolk_err err = h1_gather(&parser->message, data, size);

	if (err != KOLK_E_MEMORY && !begins_as_answer(&parser->message))
		return broken(parser);
	return err == KOLK_OK ? on_head_complete(parser, event) : err;
}

static enum kolk_err body_step(struct h1_parser *parser, const uint8_t **data, size_t *size,
			       enum h1_event *event)
{
	struct h1_message *message = &parser->message;
	bool trailers = message->state == H1_IN_TRAILERS, close = false;
	enum kolk_err err = h1_body_step(message, data, size, &close);

	*event = H1_BODY;
	if (trailers && message->state == H1_WHOLE)
		parser->trailer_count = message->field_count;
	if (close || err == KOLK_E_PROTOCOL)
		parser->keep = false;
	return err;
}

/* ---- the machine */

enum kolk_err h1_parse(struct h1_parser *parser, const uint8_t **data, size_t *size,
		       enum h1_event *event)
{
	struct h1_message *message = &parser->message;
	enum kolk_err err = KOLK_PENDING;

	while (err == KOLK_PENDING) {
		if (message->state == H1_WHOLE || message->state == H1_SWITCHING) {
			*event = message->state == H1_WHOLE ? H1_END : H1_SWITCHED;
			message->state = H1_FINISHED;
			return KOLK_OK;
		}
		if (*size == 0 && message->state < H1_FINISHED) {
			*event = H1_MORE;
			return KOLK_OK;
		}
		err = message->state == H1_IN_HEAD ? head_step(parser, data, size, event) :
						     body_step(parser, data, size, event);
	}
	return err;
}

enum kolk_err h1_parse_end(struct h1_parser *parser)
{
	if (parser->message.state == H1_UNTIL_CLOSE) {
		parser->message.state = H1_FINISHED;
		return KOLK_OK;
	}
	(void)broken(parser);
	return KOLK_E_CLOSED;
}

bool h1_parser_drainable(const struct h1_parser *parser, uint64_t max)
{
	const struct h1_message *message = &parser->message;

	if (max == 0 || message->state == H1_UNTIL_CLOSE || message->state >= H1_SWITCHING)
		return false;
	if (message->state == H1_IN_HEAD)
		return true;
	return parser->keep && (message->state != H1_FIXED || message->left <= max);
}
