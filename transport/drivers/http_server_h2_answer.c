/* SPDX-License-Identifier: Apache-2.0 */
/* http_server_h2_answer.c - answers over HTTP/2: their heads as nghttp2 wants them, their bodies as
 * it asks for them. Fields were checked before (http_server_answer.c). */
#include <stdio.h>
#include <string.h>

#include "core/base/ascii.h"
#include "transport/drivers/http.h"
#include "transport/drivers/http_server_h2.h"

/* ---- heads */

/* Fields, and their text in lower case, in exchange->out: nghttp2 copies both. */
struct block {
	nghttp2_nv *at;
	size_t count;
	char *text;
};

static bool block_begin(struct kolk_http_server_exchange *exchange,
			const struct kolk_http_answer *answer, struct block *block)
{
	size_t places = answer->field_count + 3, size = places * sizeof(nghttp2_nv) + 128;

	for (uint32_t i = 0; i < answer->field_count; i++)
		size += strlen(answer->fields[i].name);
	exchange->out.size = 0;
	if (!hs_reserve(&exchange->out, size))
		return false;
	block->at = (nghttp2_nv *)(void *)exchange->out.data;
	block->count = 0;
	block->text = exchange->out.data + places * sizeof(nghttp2_nv);
	return true;
}

static void block_add(struct block *block, const char *name, const char *value)
{
	size_t size = strlen(name);
	char *lower = block->text;

	for (size_t i = 0; i < size; i++)
		lower[i] = kolk__lower(name[i]);
	block->text += size;
	block->at[block->count++] = (nghttp2_nv){
		.name = (uint8_t *)lower, .namelen = size,
		.value = (uint8_t *)(uintptr_t)value, .valuelen = strlen(value)
	};
}

static void block_add_number(struct block *block, const char *name, uint64_t number)
{
	char *digits = block->text;

	block->text += snprintf(digits, 24, "%llu", (unsigned long long)number) + 1;
	block_add(block, name, digits);
}

static void block_add_fields(struct block *block, const struct kolk_http_answer *answer)
{
	for (uint32_t i = 0; i < answer->field_count; i++)
		block_add(block, answer->fields[i].name, answer->fields[i].value);
}

/* ---- bodies */

static ssize_t give_memory(struct kolk_http_server_exchange *exchange, uint8_t *buffer,
			   size_t capacity, uint32_t *flags)
{
	const struct kolk_http_answer *answer = &exchange->answer;
	size_t left = answer->body_size - (size_t)exchange->body_sent;
	size_t size = left < capacity ? left : capacity;

	memcpy(buffer, (const char *)answer->body + exchange->body_sent, size);
	exchange->body_sent += size;
	if (size == left) {
		exchange->phase = HS_WRITTEN;
		*flags |= NGHTTP2_DATA_FLAG_EOF;
	}
	return (ssize_t)size;
}

static ssize_t fail_pull(struct kolk_http_server_exchange *exchange, enum kolk_err err)
{
	exchange->err = err;
	return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE; /* the stream is reset */
}

static ssize_t end_pull(struct kolk_http_server_exchange *exchange, uint32_t *flags)
{
	const struct kolk_http_answer *answer = &exchange->answer;
	struct kolk_http_answer trailers = {
		.fields = answer->trailers,
		.field_count = (uint32_t)http_trailer_count(answer->trailers, answer->trailer_count)
	};
	struct block block;

	exchange->phase = HS_WRITTEN;
	*flags |= NGHTTP2_DATA_FLAG_EOF;
	if (trailers.field_count == 0)
		return 0;
	if (!http_fields_valid(trailers.fields, trailers.field_count))
		return fail_pull(exchange, KOLK_E_OPTIONS);
	if (!block_begin(exchange, &trailers, &block))
		return fail_pull(exchange, KOLK_E_MEMORY);
	block_add_fields(&block, &trailers);
	*flags |= NGHTTP2_DATA_FLAG_NO_END_STREAM;
	if (nghttp2_submit_trailer(exchange->h2->ng, exchange->stream->id, block.at,
				   block.count) != 0)
		return fail_pull(exchange, KOLK_E_MEMORY);
	return 0;
}

static ssize_t give_pulled(struct kolk_http_server_exchange *exchange, uint8_t *buffer,
			   size_t capacity, uint32_t *flags)
{
	const struct kolk_http_answer *answer = &exchange->answer;
	bool endless = answer->pull_size == KOLK_HTTP_CHUNKED;
	uint64_t left = endless ? capacity : answer->pull_size - exchange->body_sent;
	size_t size = 0;
	enum kolk_err err;

	capacity = left < capacity ? (size_t)left : capacity;
	err = answer->pull(exchange->user, buffer, capacity, &size);
	exchange->pull_pending = exchange->stream->deferred = err == KOLK_PENDING;
	if (err == KOLK_PENDING)
		return NGHTTP2_ERR_DEFERRED;
	if (err == KOLK_OK && (size > capacity || (size == 0 && !endless)))
		err = KOLK_E_OPTIONS; /* not what was promised */
	if (err != KOLK_OK)
		return fail_pull(exchange, err);
	if (size == 0)
		return end_pull(exchange, flags);
	exchange->body_sent += size;
	if (!endless && exchange->body_sent == answer->pull_size) {
		exchange->phase = HS_WRITTEN;
		*flags |= NGHTTP2_DATA_FLAG_EOF;
	}
	return (ssize_t)size;
}

static ssize_t on_pull(nghttp2_session *ng, int32_t id, uint8_t *buffer, size_t capacity,
		       uint32_t *flags, nghttp2_data_source *source, void *user)
{
	struct kolk_http_server_exchange *exchange = source->ptr;

	(void)ng;
	(void)id;
	(void)user;
	if (exchange->err != KOLK_OK) /* its reset follows */
		return NGHTTP2_ERR_DEFERRED;
	return exchange->answer.pull != NULL ? give_pulled(exchange, buffer, capacity, flags) :
					       give_memory(exchange, buffer, capacity, flags);
}

void hs_h2_resume_data(struct kolk_http_server_exchange *exchange)
{
	exchange->stream->deferred = false;
	(void)nghttp2_session_resume_data(exchange->h2->ng, exchange->stream->id);
}

/* ---- submitted */

enum kolk_err hs_h2_submit(struct kolk_http_server_exchange *exchange,
			   const struct h1_answer_head *head)
{
	const struct kolk_http_answer *answer = head->answer;
	nghttp2_data_provider body = { .source.ptr = exchange, .read_callback = on_pull };
	bool empty = h1_answer_is_empty(head) ||
		     (answer->pull == NULL ? answer->body_size == 0 : answer->pull_size == 0);
	struct block block;

	if (!block_begin(exchange, answer, &block))
		return KOLK_E_MEMORY;
	block_add_number(&block, ":status", answer->status);
	if (head->date != NULL && !h1_has_date(answer))
		block_add(&block, "date", head->date);
	block_add_fields(&block, answer);
	if (head->body == H1_ANSWER_LENGTH && head->length > 0) /* the end of the stream says 0 */
		block_add_number(&block, "content-length", head->length);
	if (nghttp2_submit_response(exchange->h2->ng, exchange->stream->id, block.at, block.count,
				    empty ? NULL : &body) != 0)
		return KOLK_E_MEMORY;
	exchange->answer = *answer;
	exchange->answer.fields = NULL;
	if (answer->close != 0)
		hs_h2_drain(exchange->conn);
	exchange->phase = empty ? HS_WRITTEN : answer->pull != NULL ? HS_PULL : HS_MEMORY;
	return KOLK_OK;
}

enum kolk_err hs_h2_submit_informational(struct kolk_http_server_exchange *exchange,
					 const struct kolk_http_answer *answer)
{
	struct block block;

	if (!block_begin(exchange, answer, &block))
		return KOLK_E_MEMORY;
	block_add_number(&block, ":status", answer->status);
	block_add_fields(&block, answer);
	return nghttp2_submit_headers(exchange->h2->ng, NGHTTP2_FLAG_NONE, exchange->stream->id,
				      NULL, block.at, block.count, NULL) == 0 ?
		       KOLK_OK : KOLK_E_MEMORY;
}
