"""ei serving: a trained model behind the SageMaker container contract."""
