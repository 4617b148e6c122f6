/* SPDX-License-Identifier: Apache-2.0 */
/* stream_peer.c - who is at the other end of a stream, as the socket or a PROXY header tells. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>

#include "transport/endpoint.h"
#include "transport/stream.h"
#include "transport/tls.h"

/* Of a socket at [::], or of a proxy: ::ffff:1.2.3.4 is 1.2.3.4. Returns the family. */
static uint8_t unmap(uint32_t family, uint8_t bytes[16])
{
	static const uint8_t mapped[12] = { [10] = 0xff, [11] = 0xff };

	if (family != AF_INET6 || memcmp(bytes, mapped, sizeof mapped) != 0)
		return (uint8_t)family;
	memcpy(bytes, bytes + sizeof mapped, 4);
	return AF_INET;
}

/* Returns the family. Of a Unix socket there are no bytes. */
static uint8_t read_name(const struct kolk_address *name, uint8_t bytes[16], uint16_t *port)
{
	struct sockaddr_in v4;
	struct sockaddr_in6 v6;

	if (name->family == AF_INET) {
		memcpy(&v4, name->bytes, sizeof v4);
		memcpy(bytes, &v4.sin_addr, sizeof v4.sin_addr);
		*port = ntohs(v4.sin_port);
	} else if (name->family == AF_INET6) {
		memcpy(&v6, name->bytes, sizeof v6);
		memcpy(bytes, &v6.sin6_addr, sizeof v6.sin6_addr);
		*port = ntohs(v6.sin6_port);
	}
	return unmap(name->family, bytes);
}

void kolk__stream_peer_set(struct kolk_stream *stream, const struct kolk_address *peer)
{
	const struct kolk__link *link = kolk__link_of_stream(stream);
	const struct kolk_sys *sys = link->loop->transport->sys;
	struct kolk_address local;

	stream->family = read_name(peer, stream->peer, &stream->peer_port);
	if (sys->sock_name(sys->context, link->fd, false, &local) == 0)
		stream->local_family = read_name(&local, stream->local, &stream->local_port);
}

void kolk__stream_peer_proxied(struct kolk_stream *stream, const struct kolk__proxy *proxy)
{
	if (proxy->family == AF_UNSPEC) /* the proxy itself */
		return;
	stream->proxied = true;
	stream->peer_port = proxy->peer_port;
	stream->local_port = proxy->local_port;
	memcpy(stream->peer, proxy->peer, sizeof stream->peer);
	memcpy(stream->local, proxy->local, sizeof stream->local);
	stream->family = unmap(proxy->family, stream->peer);
	stream->local_family = unmap(proxy->family, stream->local);
}

/* The bytes of an IPv4 address are behind four that no unicast address begins with. */
bool kolk__stream_peer_number(const struct kolk_stream *stream, uint64_t *number)
{
	uint8_t v4[8] = { 0xff, 0xff, 0xff, 0xff };

	memcpy(v4 + 4, stream->peer, 4);
	memcpy(number, stream->family == AF_INET ? v4 : stream->peer, sizeof *number);
	return stream->family == AF_INET || stream->family == AF_INET6;
}

static void text_write(uint32_t family, const uint8_t bytes[16], char text[48])
{
	text[0] = '\0';
	if (family == AF_INET)
		kolk__v4_write(bytes, text);
	else if (family == AF_INET6)
		(void)inet_ntop(AF_INET6, bytes, text, 48);
}

void kolk__stream_peer(const struct kolk_stream *stream, struct kolk_stream_peer *peer)
{
	const struct kolk__link *link = kolk__link_of_stream(stream);
	const struct kolk_sys *sys = link->loop->transport->sys;
	uint32_t ids[3];

	if (link->tls != NULL)
		kolk__tls_peer(link, peer);
	peer->port = stream->peer_port;
	peer->proxied = stream->proxied;
	text_write(stream->family, stream->peer, peer->address);
	peer->local_port = stream->local_port;
	text_write(stream->local_family, stream->local, peer->local_address);
	if (!stream->proxied && stream->family == AF_UNIX && link->fd >= 0 &&
	    sys->sock_credentials(sys->context, link->fd, ids) == 0) {
		peer->pid = ids[0];
		peer->uid = ids[1];
		peer->gid = ids[2];
	}
}
