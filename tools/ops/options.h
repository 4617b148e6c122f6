/* SPDX-License-Identifier: Apache-2.0 */
/* options.h - the tables of this library's own structs (kolk/options.h). */
#ifndef KOLK_OPS_OPTIONS_H
#define KOLK_OPS_OPTIONS_H

#include <kolk/options.h>

extern const struct kolk_option_table kolk__admin_table; /* struct kolk_admin_options */
/* What a file says besides the libraries' structs, by what it is read into: */
extern const struct kolk_option_table kolk__file_table;   /* struct kolk_config */
extern const struct kolk_option_table kolk__tenant_own;   /* struct kolk__config_tenant */
extern const struct kolk_option_table kolk__pool_own;     /* struct kolk__config_pool */
extern const struct kolk_option_table kolk__warm_table;   /* struct kolk__config_key */

#endif
