/* SPDX-License-Identifier: Apache-2.0 */
/* guard.h - who may come in, and from where. */
#ifndef KOLK_OPS_GUARD_H
#define KOLK_OPS_GUARD_H

#include "tools/ops/admin.h"

/* It shows the token, or none is needed. Takes the same time whatever is shown. */
bool kolk__may_enter(const struct kolk__desk *desk, const struct kolk__request *request);
/* NULL, or why this looks as if the page of somebody else sent it. */
const char *kolk__foreign(const struct kolk__desk *desk, const struct kolk__request *request);
bool kolk__is_json(const struct kolk__request *request);

#endif
