/* SPDX-License-Identifier: Apache-2.0 */
/* dial.h - what the steps of a dial, in other files, report to dial.c. All [home]. */
#ifndef KOLK_TRANSPORT_DIAL_H
#define KOLK_TRANSPORT_DIAL_H

#include "transport/link.h"

/* Addresses (> 0) are available from kolk__dns_cache_get, or -errno. */
void kolk__dial_resolved(struct kolk__link *link, int32_t result);
/* 0, and link.fd is set; or -errno. */
void kolk__connected(struct kolk__link *link, int32_t result);
void kolk__link_timed_out(struct kolk__timeout *timeout); /* the deadline of its phase */
void kolk__dial_upgraded(struct kolk__link *link); /* now TLS */
void kolk__link_deadline(struct kolk__link *link, uint64_t ns); /* of a phase, from now */
/* Fail in the phase that it is in. os_error: -errno; 0 and more are none. */
void kolk__dial_fail(struct kolk__link *link, enum kolk_err err, int64_t os_error, int tls_error);
/* As this says: err, os_error, tls_error, detail, and the phase if it has one. */
void kolk__dial_fail_as(struct kolk__link *link, const struct kolk_failure *failure);
void kolk__dial_end_if_quiescent(struct kolk__link *link);
void kolk__dial_resume(struct kolk__link *link); /* it need not wait for a session any more */

#endif
