"""How large the activations of a run get, at the large channels of the spiky rule and elsewhere."""

from contextlib import contextmanager

import torch

from . import synthetic


def _watched(model):
    """(name, module whose input is watched, spacing of the large channels)."""
    encoder, decoder = model.model.audio_tower, model.model.language_model
    for layer in encoder.layers:
        yield "encoder residual", layer, synthetic.HIDDEN_SPACING
        yield "encoder fc2 input", layer.fc2, synthetic.INNER_SPACING
    yield "encoder residual", encoder.ln_post, synthetic.HIDDEN_SPACING
    for layer in decoder.layers:
        yield "decoder residual", layer, synthetic.HIDDEN_SPACING
        yield "decoder down_proj input", layer.mlp.down_proj, synthetic.INNER_SPACING
    yield "decoder residual", decoder.norm, synthetic.HIDDEN_SPACING


@contextmanager
def largest(model):
    """Yields a dict that fills while the model runs: name -> [largest absolute value at the large channels, elsewhere]."""
    found: dict[str, list[float]] = {}

    def hook(name, spacing):
        def keep(_, args):
            columns = args[0].detach().abs().flatten(0, -2).amax(dim=0)
            at_large = torch.arange(columns.numel(), device=columns.device) % spacing == synthetic.SPIKE_OFFSET
            new = [float(columns[at_large].max()), float(columns[~at_large].max())]
            found[name] = [round(max(pair), 1) for pair in zip(new, found.get(name, (0.0, 0.0)))]
        return keep

    hooks = [module.register_forward_pre_hook(hook(name, spacing)) for name, module, spacing in _watched(model)]
    try:
        yield found
    finally:
        for handle in hooks:
            handle.remove()
