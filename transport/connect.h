/* SPDX-License-Identifier: Apache-2.0 */
/*
 * connect.h - happy eyeballs (RFC 8305): the addresses of a name are tried in the order of
 * dns_cache.c (families alternate). The next attempt begins when the last one failed or has not
 * answered for 250 ms. The first that connects wins, and the others are closed.
 */
#ifndef KOLK_CONNECT_H
#define KOLK_CONNECT_H

#include "transport/link.h"

/* Begin; kolk__connected(link, 0) with link.fd set, or kolk__connected(link, -errno), will
 * run, never inside; after an error it may begin again. The addresses are in
 * kolk__connect_addresses(link). [home] */
struct kolk_address *kolk__connect_addresses(struct kolk__link *link); /* KOLK__ADDRESSES; NULL */
void kolk__connect(struct kolk__link *link, uint32_t count);
/* Cancel; the attempts end by themselves, then kolk__connect_is_done is true. */
void kolk__connect_stop(struct kolk__link *link);
bool kolk__connect_is_done(const struct kolk__link *link);
void kolk__connect_free(struct kolk__link *link);
/* Why the last attempt failed. Of a link that has tried. */
int32_t kolk__connect_result(const struct kolk__link *link);

#endif
