#!/usr/bin/env python3
"""Fits the logistic model of src/audio/voice_model.h to statistics that bench/vad writes.

    vad_bench --speech SPEECH... --other MUSIC... --dump train.tsv
    fit_voice_model.py train.tsv [--test other.tsv] [--out src/audio/voice_model.h]

Each line of the input: 1 for speech or 0, the scene's name, the statistics. Scenes weigh the same within their class, so
that one long piece of music does not outweigh the rest. Needs NumPy.
"""

import argparse
import collections

import numpy

N_HIDDEN = 6
SPEECH_WEIGHT = 3.0  # speech that is dropped is lost; other sound that is kept costs time only
N_STEPS, RATE, DECAY = 4000, 0.01, 1e-4


def read(path):
    labels, scenes, rows = [], [], []
    with open(path, encoding="utf-8") as file:
        for line in file:
            label, scene, *values = line.rstrip("\n").split("\t")
            labels.append(int(label))
            scenes.append(scene)
            rows.append([float(value) for value in values])
    return numpy.array(labels), scenes, numpy.array(rows)


def weights_of(labels, scenes):
    counts = collections.Counter(zip(labels, scenes))
    weights = numpy.array([1 / counts[key] for key in zip(labels, scenes)])
    for label, share in ((0, 1.0), (1, SPEECH_WEIGHT)):
        weights[labels == label] *= share / weights[labels == label].sum()
    return weights / weights.sum()


class Model:
    def __init__(self, rows):
        random = numpy.random.default_rng(1)
        self.mean, self.deviation = rows.mean(0), rows.std(0) + 1e-6
        self.parameters = [random.normal(0, 0.3, (N_HIDDEN, rows.shape[1])), numpy.zeros(N_HIDDEN),
                           random.normal(0, 0.3, N_HIDDEN), numpy.zeros(1)]

    def forward(self, rows):
        inputs = (rows - self.mean) / self.deviation
        weights, hidden_bias, output, bias = self.parameters
        hidden = numpy.tanh(inputs @ weights.T + hidden_bias)
        return inputs, hidden, 1 / (1 + numpy.exp(-(hidden @ output + bias)))

    def fit(self, rows, labels, weights):
        moments = [(numpy.zeros_like(p), numpy.zeros_like(p)) for p in self.parameters]
        for step in range(1, N_STEPS + 1):
            inputs, hidden, answer = self.forward(rows)
            error = weights * (answer - labels)
            inner = error[:, None] * self.parameters[2] * (1 - hidden**2)
            gradients = [inner.T @ inputs, inner.sum(0), hidden.T @ error, numpy.array([error.sum()])]
            for parameter, gradient, (first, second) in zip(self.parameters, gradients, moments):
                gradient = gradient + DECAY * parameter
                first += 0.1 * (gradient - first)
                second += 0.001 * (gradient**2 - second)
                parameter -= RATE * (first / (1 - 0.9**step)) / (numpy.sqrt(second / (1 - 0.999**step)) + 1e-8)


def report(name, model, labels, scenes, rows):
    answer = model.forward(rows)[2]
    print(name)
    for threshold in (0.1, 0.2, 0.3, 0.5):
        weights = weights_of(labels, scenes)
        missed = weights[(labels == 1) & (answer < threshold)].sum() / weights[labels == 1].sum()
        false = weights[(labels == 0) & (answer >= threshold)].sum() / weights[labels == 0].sum()
        print(f"  threshold {threshold}: speech missed {100 * missed:.2f} %, other kept {100 * false:.2f} %")


def numbers(values):
    return "{" + ", ".join(f"{value:.5g}f" if "." in f"{value:.5g}" or "e" in f"{value:.5g}" else f"{value:.5g}.0f"
                           for value in values) + "}"


def header(model):
    weights, hidden_bias, output, bias = model.parameters
    rows = ",\n     ".join(numbers(row) for row in weights)
    return f"""// Coefficients of voice_likelihood(): six hidden units over the twelve statistics. Made by tools/fit_voice_model.py.
#pragma once

namespace qasr {{

struct VoiceModel {{
  static constexpr int kInputs = {weights.shape[1]}, kHidden = {N_HIDDEN};
  float mean[kInputs];
  float deviation[kInputs];
  float weights[kHidden][kInputs];
  float hidden_bias[kHidden];
  float output[kHidden];
  float bias;
}};

inline constexpr VoiceModel kVoiceModel = {{
    {numbers(model.mean)},
    {numbers(model.deviation)},
    {{{rows}}},
    {numbers(hidden_bias)},
    {numbers(output)},
    {numbers(bias)[1:-1]}}};

}}  // namespace qasr
"""


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("train", nargs="+")
    parser.add_argument("--test")
    parser.add_argument("--out")
    arguments = parser.parse_args()
    parts = [read(path) for path in arguments.train]
    labels, rows = numpy.concatenate([p[0] for p in parts]), numpy.concatenate([p[2] for p in parts])
    scenes = [scene for part in parts for scene in part[1]]
    model = Model(rows)
    model.fit(rows, labels, weights_of(labels, scenes))
    report("fitted", model, labels, scenes, rows)
    if arguments.test:
        report("test", model, *read(arguments.test))
    if arguments.out:
        with open(arguments.out, "w", encoding="utf-8") as file:
            file.write(header(model))


if __name__ == "__main__":
    main()
