// SPDX-License-Identifier: GPL-2.0-or-later
// Functions in double precision for values that are computed once (RoPE tables) or once per row,
// never once per weight. They multiply, add, and divide once, so every machine gives the same bits.
//
// Relative error below 1e-15 (pow: 4e-15; sin, cos, tanh: absolute) in the ranges stated.
#pragma once

namespace ai::real {

double exp(double x);            // 0 below -708, exp(709) above 709
double log(double x);            // x > 0, normal
double pow(double x, double y);  // x > 0
double sin(double x);            // |x| < 1e6
double cos(double x);
double tanh(double x);

}  // namespace ai::real
