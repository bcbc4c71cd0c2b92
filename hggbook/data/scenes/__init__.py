"""Synthetic crowd scenes: people over varied backgrounds, with every annotation that COCO knows.

    poses, body      how people stand and where their limbs are
    appearance       skin, hair and clothes
    clothing, heads  meshes of people;  objects: of what surrounds them
    render           meshes to pictures and buffers;  background: what lies behind
    placement        who stands where;  compose: whole scenes;  visibility: which keypoints are seen
    export           COCO-format data sets on disk;  sheet: contact sheets

Not in the paper: it trains on COCO and reports on OCHuman; scenes let the whole chain run without a download.
"""

from hggbook.data.scenes.compose import render_scene
from hggbook.data.scenes.config import PRESETS, Scene, SceneConfig
from hggbook.data.scenes.export import cached_dataset, scene_config, write_dataset
from hggbook.data.scenes.sheet import contact_sheet, draw_people, write_contact_sheet

__all__ = [
    "PRESETS", "Scene", "SceneConfig", "cached_dataset", "contact_sheet", "draw_people", "render_scene", "scene_config",
    "write_contact_sheet", "write_dataset",
]
