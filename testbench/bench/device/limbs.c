/* firmware/kernel.py, step by step: the peer that the compiled twin is measured against. */
#include <stdint.h>

enum { ROW = 11, FACTOR_AT = 3 };

int accumulate(uint16_t *state, const uint16_t *plan, uint16_t *counts)
{
    int failed = 0;
    unsigned rows;
    while ((rows = *plan++)) {
        for (int limb = 0; limb < 2; limb++, counts++) {
            const uint32_t count = *counts;
            if (count == 0)
                continue;
            *counts = 0;
            const uint16_t *row = plan;
            for (unsigned n = 0; n < rows; n++, row += ROW) {
                uint16_t *const start = state + row[0], *const end = start + row[1];
                const uint16_t *factor = row + FACTOR_AT, *const last = factor + row[2];
                uint16_t *at = start + limb;
                uint32_t carry = 0;
                while (factor < last) {
                    carry += *at + *factor++ * count;
                    *at++ = carry;
                    carry >>= 16;
                }
                for (; carry && at < end; carry >>= 16) {
                    carry += *at;
                    *at++ = carry;
                }
                if (carry) {
                    failed = 1;
                    for (at = start; at < end; at++)
                        *at = 0xFFFF;
                }
            }
        }
        plan += ROW * rows;
    }
    return failed;
}
