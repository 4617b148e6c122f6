/* SPDX-License-Identifier: Apache-2.0 */
/* guard.h - authorization: tokens and origins. */
#ifndef KOLK_OPS_GUARD_H
#define KOLK_OPS_GUARD_H

#include "tools/ops/admin.h"

/* It shows the token, or none is needed. Takes the same time whatever is shown. */
bool kolk__is_authorized(const struct kolk__admin_server *server,
			 const struct kolk__request *request);
/* NULL, or why this looks like a request of a foreign page. */
const char *kolk__cross_origin(const struct kolk__admin_server *server,
			       const struct kolk__request *request);
bool kolk__is_json(const struct kolk__request *request);

#endif
