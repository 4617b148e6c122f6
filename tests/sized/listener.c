/* SPDX-License-Identifier: Apache-2.0 */
/* listener.c - structs of kolk/listen.h: options, TLS, handlers; peers and numbers. */
#include <arpa/inet.h>
#include <semaphore.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/sized/sized.h"

static struct kolk_listener *listener; /* that tells of peers and its numbers */
static void *peer_into;
static sem_t peer_told;

static void *on_open(void *listener_user, struct kolk_stream *stream)
{
	(void)listener_user;
	kolk_stream_peer(stream, peer_into);
	sem_post(&peer_told);
	return NULL;
}

static void on_data(void *user, struct kolk_stream *stream, const void *bytes, size_t size)
{
	(void)user;
	(void)stream;
	(void)bytes;
	(void)size;
}

struct kolk_stream_handler stream_handler(void)
{
	struct kolk_stream_handler handler = KOLK_INIT(kolk_stream_handler);

	handler.open = on_open;
	handler.data = on_data;
	return handler;
}

static struct kolk_listener_options options_with(const void *handler)
{
	struct kolk_listener_options o = KOLK_INIT(kolk_listener_options);

	o.address = "127.0.0.1:0";
	o.handler = handler;
	return o;
}

static enum kolk_err open_and_close(const void *options)
{
	struct kolk_listener *made;
	enum kolk_err err = kolk_listen(engine, options, &made);

	return err == KOLK_OK ? kolk_listener_close(made, soon(), NULL, NULL) : err;
}

enum kolk_err use_listener(const void *given)
{
	return open_and_close(given);
}

enum kolk_err use_stream_handler(const void *given)
{
	struct kolk_listener_options o = options_with(given);

	return open_and_close(&o);
}

/* Read as far as its certificate, which is not there. */
enum kolk_err use_listener_tls(const void *given)
{
	struct kolk_stream_handler handler = stream_handler();
	struct kolk_listener_options o = options_with(&handler);
	enum kolk_err err;

	o.tls = given;
	err = open_and_close(&o);
	return err == KOLK_E_TLS ? KOLK_OK : err;
}

static enum kolk_err begin(void)
{
	struct kolk_stream_handler handler = stream_handler();
	struct kolk_listener_options o = options_with(&handler);

	sem_init(&peer_told, 0, 0);
	return listener != NULL ? KOLK_OK : kolk_listen(engine, &o, &listener);
}

/* Its second field was written. */
static enum kolk_err told(const void *into)
{
	uint32_t second, untouched;

	memset(&untouched, UNTOUCHED, sizeof untouched);
	memcpy(&second, (const char *)into + 4, sizeof second);
	return second != untouched ? KOLK_OK : KOLK_E_OPTIONS;
}

enum kolk_err tell_listener_stats(void *into)
{
	enum kolk_err err = begin();

	if (err != KOLK_OK)
		return err;
	kolk_listener_stats(listener, into);
	return told(into);
}

enum kolk_err tell_stream_peer(void *into)
{
	struct sockaddr_in to = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	enum kolk_err err = begin();
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	peer_into = into;
	if (err == KOLK_OK) {
		to.sin_port = htons((uint16_t)atoi(strchr(kolk_listener_address(listener), ':') + 1));
		if (connect(fd, (struct sockaddr *)&to, sizeof to) != 0)
			err = KOLK_E_IO;
	}
	while (err == KOLK_OK && sem_wait(&peer_told) != 0)
		;
	close(fd);
	return err == KOLK_OK ? told(into) : err;
}
