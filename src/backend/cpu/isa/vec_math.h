// exp, erf and what is made of them, on vectors. Each lane is computed on its own, so a value does not depend on its
// place in a vector.
#pragma once

#include "backend/cpu/isa/kernel_table.h"

namespace qasr::cpu::isa {
namespace {

// c[0] + x (c[1] + x (c[2] + ...)), Horner's rule.
template <typename V, int N>
inline typename V::F polynomial(typename V::F x, const float (&c)[N]) {
  typename V::F value = V::set(c[N - 1]);
  for (int i = N - 2; i >= 0; --i) value = V::fma(value, x, V::set(c[i]));
  return value;
}

// e^x, relative error below 2e-7; 0 below -87.3, 1.7e38 above 88; NaN stays NaN.
// x = n ln 2 + r with |r| <= ln 2 / 2, ln 2 in two parts (Cody and Waite) so that r is exact to rounding; e^r by its
// Taylor series to degree 7, whose remainder (ln 2 / 2)^8 / 8! = 5e-9 is below rounding.
template <typename V>
inline typename V::F exp(typename V::F x) {
  using F = typename V::F;
  constexpr float kLowest = -87.3f, kHighest = 88.0f;
  constexpr float kTaylor[] = {1.0f, 1.0f, 0.5f, 1.0f / 6, 1.0f / 24, 1.0f / 120, 1.0f / 720, 1.0f / 5040};
  // Operands ordered so that a NaN in x comes through min and max.
  const F clamped = V::max(V::set(kLowest), V::min(V::set(kHighest), x));
  const F n = V::round(V::mul(clamped, V::set(1.44269504f)));
  F r = V::fma(n, V::set(-0.693359375f), clamped);
  r = V::fma(n, V::set(2.12194440e-4f), r);
  const F power = V::mul(polynomial<V>(r, kTaylor), V::pow2(n));
  return V::select_less(x, V::set(kLowest), V::zero(), power);
}

// erf(x), absolute error below 4e-7 (rounding; 1.5e-8 of it from the approximation): x P(x^2) / Q(x^2), both of degree
// 5, fitted to the least maximum error on |x| <= 3.9 by iteratively reweighted least squares; +-1 beyond, where 1 - erf
// is below 4e-8. All coefficients are positive, so nothing cancels.
template <typename V>
inline typename V::F erf(typename V::F x) {
  using F = typename V::F;
  constexpr float kP[] = {1.128378987312317f,     0.19194090366363525f,   0.052966903895139694f,
                          0.0038368713576346636f, 0.0002874570491258055f, 2.050386683549732e-06f};
  constexpr float kQ[] = {1.0f,
                          0.503434956073761f,
                          0.11475815623998642f,
                          0.015109194442629814f,
                          0.0011817330960184336f,
                          3.8230726204346865e-05f};
  const F clamped = V::max(V::set(-3.9f), V::min(V::set(3.9f), x));
  const F square = V::mul(clamped, clamped);
  const F value = V::div(V::mul(clamped, polynomial<V>(square, kP)), polynomial<V>(square, kQ));
  return V::max(V::set(-1.0f), V::min(V::set(1.0f), value));
}

// 0.5 v (1 + erf(v / sqrt 2))
template <typename V>
inline typename V::F gelu(typename V::F v) {
  const typename V::F half = V::mul(V::set(0.5f), v);
  return V::fma(half, erf<V>(V::mul(v, V::set(0.70710678f))), half);
}

// v / (1 + exp(-v))
template <typename V>
inline typename V::F silu(typename V::F v) {
  return V::div(v, V::add(V::set(1.0f), exp<V>(V::sub(V::zero(), v))));
}

}  // namespace
}  // namespace qasr::cpu::isa
