from toolkit.training.progress import TrainingProgress


def test_it_tells_the_validations_figures_on_standard_error(capsys):
    progress = TrainingProgress(steps_per_epoch=3, epochs=2)

    progress.on_train_begin()
    for epoch in range(2):
        progress.on_epoch_begin(epoch)
        for batch in range(3):
            progress.on_train_batch_end(batch)
        progress.on_epoch_end(epoch, {"val_accuracy": 0.875 + epoch / 10})
    progress.on_train_end()

    out, err = capsys.readouterr()
    assert out == ""
    assert "Fine-tuning" in err
    assert "6/6" in err
    assert "epoch 2/2: validation 97.5%" in " ".join(err.split())
