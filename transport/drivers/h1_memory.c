/* SPDX-License-Identifier: Apache-2.0 */
/* h1_memory.c - the memory of an exchange of HTTP/1.1: blocks of its client, which go back when it
 * needs them no more. */
#include "transport/drivers/h1_exchange.h"

#include <stdlib.h>
#include <string.h>

/* ---- what is sent */

static void wipe(char *bytes, size_t size, size_t secret_size)
{
	if (bytes != NULL)
		explicit_bzero(bytes, secret_size < size ? secret_size : size);
}

static void out_free(struct h1_exchange *h1)
{
	char *small = h1->sending != NULL ? h1->sending->small : NULL;

	if (h1->secret_size > 0) {
		wipe(h1->out, h1->out_size, h1->secret_size);
		wipe(small, H1_SMALL_BYTES, h1->secret_size);
	}
	if (h1->out != small)
		free(h1->out);
	h1->out = small;
	h1->out_size = small != NULL ? H1_SMALL_BYTES : 0;
}

static void sending_free(struct h1_blocks *blocks, struct h1_exchange *h1)
{
	if (h1->sending == NULL)
		return;
	kolk_timer_stop(&h1->sending->continue_timer);
	blocks_put(&blocks->out, h1->sending);
	h1->sending = NULL;
}

void h1_out_end(struct h1_exchange *h1)
{
	out_free(h1);
	sending_free(http_h1_blocks(h1->exchange->http), h1);
	h1->out = NULL;
	h1->out_size = 0;
}

bool h1_out_reserve(struct h1_exchange *h1, size_t size)
{
	char *out;

	if (size <= h1->out_size)
		return true;
	out = malloc(size);
	if (out == NULL)
		return false;
	out_free(h1);
	h1->out = out;
	h1->out_size = size;
	return true;
}

/* ---- what is received */

void h1_choose_input(struct h1_exchange *h1, struct h1_message *message, size_t received)
{
	struct blocks *blocks = &http_h1_blocks(h1->exchange->http)->in;

	if (h1->in != NULL && received < H1_IN_BYTES / 4) {
		blocks_put(blocks, h1->in);
		h1->in = NULL;
	} else if (h1->in == NULL && received == H1_FEW_BYTES) {
		h1->in = blocks_get(blocks, H1_IN_BYTES);
	}
	h1->pump.buffer = h1->in != NULL ? h1->in : h1->few;
	h1->pump.capacity = h1->in != NULL ? H1_IN_BYTES : H1_FEW_BYTES;
	if (message->text_size == 0)
		h1_message_free(message);
}

/* ---- all of it */

void h1_exchange_free(struct h1_blocks *blocks, struct h1_exchange *h1)
{
	free(h1->trailer_text);
	free(h1->trailers);
	out_free(h1);
	sending_free(blocks, h1);
	if (h1->in != NULL)
		blocks_put(&blocks->in, h1->in);
	blocks_put(&blocks->exchanges, h1);
}

struct h1_exchange *h1_exchange_make(struct h1_blocks *blocks)
{
	struct h1_exchange *h1 = blocks_get(&blocks->exchanges, sizeof *h1);

	if (h1 == NULL)
		return NULL;
	memset(h1, 0, offsetof(struct h1_exchange, few));
	h1->sending = blocks_get(&blocks->out, sizeof *h1->sending);
	if (h1->sending != NULL)
		h1->sending->continue_timer = (struct kolk_timer){ 0 };
	h1->in = blocks_get(&blocks->in, H1_IN_BYTES);
	out_free(h1);
	h1->pump.buffer = h1->in;
	h1->pump.capacity = H1_IN_BYTES;
	if (h1->sending != NULL && h1->in != NULL)
		return h1;
	h1_exchange_free(blocks, h1);
	return NULL;
}
