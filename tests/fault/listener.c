/* SPDX-License-Identifier: Apache-2.0 */
/* listener.c - a listener that speaks TLS and sends back what comes. */
#include <kolk/listen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/fault/fault.h"

struct served {
	struct kolk_stream *stream;
	struct kolk_io io;
	uint8_t bytes[64];
};

static void *on_open(void *listener_user, struct kolk_stream *stream)
{
	struct served *s = calloc(1, sizeof *s);

	(void)listener_user;
	if (s != NULL)
		s->stream = stream;
	return s;
}

static void on_sent(void *user, enum kolk_err err, size_t size)
{
	struct served *s = user;

	(void)size;
	if (err == KOLK_OK)
		kolk_stream_resume(s->stream);
}

static void on_data(void *user, struct kolk_stream *stream, const void *bytes, size_t size)
{
	struct served *s = user;

	if (size == 0 || size > sizeof s->bytes) {
		kolk_stream_close(stream);
		return;
	}
	kolk_stream_pause(stream);
	memcpy(s->bytes, bytes, size);
	if (kolk_stream_send(stream, &s->io, s->bytes, size, on_sent, s) != KOLK_PENDING)
		kolk_stream_reset(stream);
}

static void on_end(void *user, struct kolk_stream *stream, enum kolk_err err)
{
	(void)stream, (void)err;
	free(user);
}

static const struct kolk_stream_handler handler = {
	.size = sizeof(struct kolk_stream_handler), .open = on_open, .data = on_data, .end = on_end,
};

enum kolk_err fault_listen(struct kolk_engine *engine, uint16_t *port)
{
	struct kolk_listener_options o = KOLK_INIT(kolk_listener_options);
	struct kolk_listener_tls tls = KOLK_INIT(kolk_listener_tls);
	const struct kolk_certificate certificate = { fault_pem_path, fault_key_path };
	struct kolk_listener *listener;
	enum kolk_err err;

	tls.certificates = &certificate;
	tls.certificate_count = 1;
	o.address = "127.0.0.1:0";
	o.tls = &tls;
	o.handler = &handler;
	err = kolk_listen(engine, &o, &listener);
	if (err != KOLK_OK)
		return err;
	*port = (uint16_t)atoi(strrchr(kolk_listener_address(listener), ':') + 1);
	return kolk_listener_tls_set(listener, &tls, NULL);
}
