"""Quantization: ranges from real images, plans that say which node runs in what, graphs that carry it out.

=================  =================================================================================================
``calibrate.py``   streaming histograms (``histogram.py``), four clips a tensor (``clipping.py``), chosen on real
                   images (``trials.py``); the result is ``ranges.py``
``schemes.py``     each compiler's rules as tables, over facts that follow from the graph (``graph.py``)
``plan.py``        node to precision, with a reason for each node left float
``write.py``       ranges and plan into a Q/DQ graph (``grid.py``: scales and zero points)
``bias.py``        bias correction
``half.py``        FP16 as casts
``search.py``      the fastest plan that passes: decisions; ``workbook.py`` what they rest on, ``bench.py`` who
                   measures it, ``sensitivity.py`` harm and gain of a group, ``attribution.py`` a layer table by
                   source node, ``memory.py`` what is known already
=================  =================================================================================================
"""
