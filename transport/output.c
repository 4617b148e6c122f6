/* SPDX-License-Identifier: Apache-2.0 */
/* output.c - bytes that a driver or TLS queued, until they are sent. */
#include "transport/link.h"

enum kolk_err kolk__output_add(struct kolk__link *link, const void *bytes, size_t size)
{
	struct kolk__transport *transport = link->loop->transport;

	if (link->output == NULL)
		link->output = kolk__alloc(transport, sizeof *link->output);
	return link->output != NULL &&
			       kolk__buffer_add(transport, &link->output->pending, bytes, size) ?
		       KOLK_OK : KOLK_E_MEMORY;
}

const uint8_t *kolk__output_next(struct kolk__link *link, size_t *size)
{
	struct kolk__output *output = link->output;

	*size = 0;
	if (output == NULL)
		return NULL;
	kolk__buffer_promote(&output->out, &output->pending);
	*size = kolk__buffer_size(&output->out);
	return *size > 0 ? output->out.bytes + output->out.start : NULL;
}

void kolk__output_sent(struct kolk__link *link, size_t size)
{
	link->output->out.start += (uint32_t)size;
}

size_t kolk__output_size(const struct kolk__link *link)
{
	const struct kolk__output *output = link->output;

	return output == NULL ? 0 : kolk__buffer_size(&output->out) +
				    kolk__buffer_size(&output->pending);
}

bool kolk__output_flush(struct kolk__link *link)
{
	const struct kolk_sys *sys = link->loop->transport->sys;
	const uint8_t *bytes;
	int64_t sent;
	size_t size;

	while ((bytes = kolk__output_next(link, &size)) != NULL) {
		sent = sys->sock_send(sys->context, link->fd, bytes, size);
		if (sent <= 0)
			return false;
		kolk__output_sent(link, (size_t)sent);
	}
	return true;
}

void kolk__output_free(struct kolk__link *link)
{
	struct kolk__transport *transport = link->loop->transport;

	if (link->output == NULL)
		return;
	kolk__buffer_wipe(transport, &link->output->out);
	kolk__buffer_wipe(transport, &link->output->pending);
	kolk__dealloc(transport, link->output, sizeof *link->output);
	link->output = NULL;
}
