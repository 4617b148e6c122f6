/* SPDX-License-Identifier: Apache-2.0 */
/* kolk/kolk.h - the whole interface, in reading order. */
#ifndef KOLK_KOLK_H
#define KOLK_KOLK_H

#include <kolk/base.h>
#include <kolk/options.h>
#include <kolk/error.h>
#include <kolk/engine.h>
#include <kolk/child.h>
#include <kolk/pool.h>
#include <kolk/key.h>
#include <kolk/tenant.h>
#include <kolk/lease.h>
#include <kolk/scope.h>
#include <kolk/io.h>
#include <kolk/loop.h>
#include <kolk/listen.h>
#include <kolk/driver.h>
#include <kolk/events.h>
#include <kolk/stats.h>
#include <kolk/inspect.h>

#endif
